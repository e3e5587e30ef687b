// The members of a JSON object, as they are written.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace penstock {

struct json_member {
  std::string name;       ///< without escapes
  std::string_view text;  ///< from the name's quote to the value's end
  std::string_view value; ///< without blanks around it
};

/// Those of the first object in the text, in their order; names may come twice. The text must be
/// valid JSON; of other text what could be read is given. Views into `text`.
std::vector<json_member> split_json_members(std::string_view text);

} // namespace penstock
