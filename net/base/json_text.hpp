// JSON strings of text that may not be UTF-8.
#pragma once

#include "storage/base/json_text.hpp"

#include <string>
#include <string_view>

namespace penstock {

/// The same for text that may not be UTF-8, a header's say: then other bytes than ASCII become
/// '?', so that the document always parses.
void append_json_any(std::string& out, std::string_view text);

/// "data":…, an event's body as a string where it is UTF-8, else "data_base64":….
void append_json_body(std::string& out, std::string_view body);

} // namespace penstock
