#include "net/base/json_text.hpp"

#include "net/base/base64.hpp"

#include <simdjson.h>

namespace penstock {

void append_json_any(std::string& out, std::string_view text) {
  if (simdjson::validate_utf8(text.data(), text.size())) return append_json_string(out, text);
  std::string ascii{text};
  for (auto& c : ascii)
    if (static_cast<unsigned char>(c) >= 0x80) c = '?';
  append_json_string(out, ascii);
}

void append_json_body(std::string& out, std::string_view body) {
  if (simdjson::validate_utf8(body.data(), body.size())) {
    out += R"("data":)";
    append_json_string(out, body);
  } else {
    out += R"("data_base64":")";
    append_base64(out, body);
    out += '"';
  }
}

} // namespace penstock
