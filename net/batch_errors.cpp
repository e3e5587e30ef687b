#include "net/batch_errors.hpp"

#include "net/json_text.hpp"
#include "net/problem.hpp"

namespace penstock {

void append_batch_error(std::string& out, bool& first, std::uint32_t index, unsigned status,
                        std::string_view detail) {
  out += first ? "{\"index\":" : ",{\"index\":";
  first = false;
  out += std::to_string(index);
  out += ",\"status\":";
  out += std::to_string(status);
  out += ",\"title\":";
  append_json_any(out, status_phrase(status));
  out += ",\"detail\":";
  append_json_any(out, detail);
  out += '}';
}

} // namespace penstock
