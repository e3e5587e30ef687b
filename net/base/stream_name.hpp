// What a stream's name may be.
#pragma once

#include <algorithm>
#include <string_view>

namespace penstock {

inline constexpr std::size_t max_stream_name_bytes = 64;
inline constexpr std::string_view stream_name_rule =
    "A stream's name is 1 to 64 of a-z, A-Z, 0-9, '.', '_' and '-', and neither \".\" nor \"..\".";

/// "." and ".." are steps of a path, not names: in a URL they would lead elsewhere.
inline bool is_stream_name(std::string_view name) {
  return !name.empty() && name.size() <= max_stream_name_bytes && name != "." && name != ".." &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '_' || c == '-';
         });
}

} // namespace penstock
