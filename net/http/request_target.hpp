// The parts of a request's target.
#pragma once

#include <string_view>

namespace penstock {

struct request_target {
  std::string_view path;
  std::string_view query; ///< without its '?'
};

/// A proxy's form of target, "http://host/path", means the path (RFC 9112, section 3.2.2).
inline request_target split_target(std::string_view target) {
  constexpr auto none = std::string_view::npos;
  if (auto scheme = target.find("://"); !target.starts_with('/') && scheme != none) {
    auto path = target.find_first_of("/?", scheme + 3);
    target = path == none ? "/" : target.substr(path);
  }
  auto mark = target.find('?');
  return {target.substr(0, mark), mark == none ? std::string_view{} : target.substr(mark + 1)};
}

/// Whether the path is the prefix or lies beneath it: /v1/events/a/b and /v1/events/a, but not
/// /v1/events/ab, lie beneath /v1/events/a.
inline bool is_beneath(std::string_view path, std::string_view prefix) {
  return path.starts_with(prefix) &&
         (path.size() == prefix.size() || prefix.ends_with('/') || path[prefix.size()] == '/');
}

} // namespace penstock
