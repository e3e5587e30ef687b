// Texts for the JSON parser, which reads a little beyond their ends.
#pragma once

#include "net/http/event_body.hpp"

#include <cstring>
#include <memory>
#include <string_view>

namespace penstock {

/// A text at the very end of what may be read: the padding is followed by nothing, so that the
/// address sanitizer sees the first byte read beyond it.
class padded {
 public:
  explicit padded(std::string_view text, char filler = '\0')
      : bytes_(std::make_unique<char[]>(text.size() + json_padding_bytes)), size_(text.size()) {
    std::memcpy(bytes_.get(), text.data(), text.size());
    std::memset(bytes_.get() + size_, filler, json_padding_bytes);
  }
  std::string_view text() const { return {bytes_.get(), size_}; }
  operator std::string_view() const { return text(); }

 private:
  std::unique_ptr<char[]> bytes_;
  std::size_t size_;
};

} // namespace penstock
