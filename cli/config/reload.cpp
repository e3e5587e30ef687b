#include "cli/config/reload.hpp"

#include <set>

namespace penstock {

bool is_reloaded(std::string_view key) {
  if (key.starts_with("streams.")) return !key.ends_with(".sinks");
  return key.starts_with("plans.") || key.starts_with("overrides.") ||
         key == "http.unknown_streams" || key == "log.level";
}

std::vector<std::string> keys_left(const config& started, const config& loaded) {
  std::set<std::string> found;
  const auto look = [&](const config& in, const config& other) {
    for (const auto& [key, value] : in.given) {
      const auto same = other.given.find(key);
      if (same != other.given.end() && same->second == value) continue;
      if (!is_reloaded(key)) found.insert(key);
    }
  };
  look(started, loaded);
  look(loaded, started);
  return {found.begin(), found.end()};
}

} // namespace penstock
