// Names of streams: what is allowed, and how many.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <unordered_set>

namespace penstock {

inline constexpr std::size_t max_stream_name_bytes = 64;
inline constexpr std::string_view stream_name_rule =
    "A stream's name is 1 to 64 of a-z, A-Z, 0-9, '.', '_' and '-'.";

inline bool is_stream_name(std::string_view name) {
  return !name.empty() && name.size() <= max_stream_name_bytes &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '_' || c == '-';
         });
}

/// Streams come into being by being sent to; this bounds how many a front end lets come.
class stream_names {
 public:
  static constexpr std::size_t max_streams = 1024;
  /// False when the name is new and there are too many already.
  bool admit(std::string_view name) {
    if (last_ == name) return true;
    if (!known_.contains(std::string{name})) {
      if (known_.size() >= max_streams) return false;
      known_.emplace(name);
    }
    last_ = name;
    return true;
  }

 private:
  std::string last_;
  std::unordered_set<std::string> known_;
};

} // namespace penstock
