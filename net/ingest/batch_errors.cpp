#include "net/ingest/batch_errors.hpp"

#include "net/base/json_text.hpp"
#include "net/base/problem.hpp"

#include <algorithm>

namespace penstock {

void bad_elements::add(std::uint32_t index, std::string_view detail) {
  auto text = std::find(texts_.begin(), texts_.end(), detail);
  if (text == texts_.end()) text = texts_.emplace(texts_.end(), detail);
  elements_.push_back({index, static_cast<std::uint32_t>(text - texts_.begin())});
}

std::size_t bad_elements::memory_bytes() const {
  auto bytes = elements_.capacity() * sizeof(element) + texts_.capacity() * sizeof(std::string);
  for (const auto& text : texts_)
    bytes += text.capacity();
  return bytes;
}

void batch_errors::add(std::uint32_t index, unsigned status, std::string_view detail) {
  if (told_ >= max_batch_errors) return;
  list_ += told_++ == 0 ? "{\"index\":" : ",{\"index\":";
  list_ += std::to_string(index);
  list_ += ",\"status\":";
  list_ += std::to_string(status);
  list_ += ",\"title\":";
  append_json_any(list_, status_phrase(status));
  list_ += ",\"detail\":";
  append_json_any(list_, detail);
  list_ += '}';
}

std::string batch_errors::members(std::size_t rejected) const {
  auto out = "\"errors\":[" + list_ + ']';
  if (rejected > told_) out += ",\"errors_omitted\":" + std::to_string(rejected - told_);
  return out;
}

} // namespace penstock
