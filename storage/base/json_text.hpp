// Writing JSON straight into a string, where a document tree would cost more than the answer.
#pragma once

#include <string>
#include <string_view>

namespace penstock {

/// Appends `text` as a JSON string with its quotes. `text` must be UTF-8; bytes pass through
/// unchanged except those that JSON makes one escape (RFC 8259, section 7).
void append_json_string(std::string& out, std::string_view text);

} // namespace penstock
