// A time as people read it.
#pragma once

#include <fmt/chrono.h>

#include <cstdint>
#include <ctime>
#include <string>

namespace penstock {

/// "2026-11-30T22:00:00Z", of milliseconds since the Unix epoch; whole seconds.
inline std::string utc_time(std::int64_t time_ms) {
  return fmt::format("{:%FT%TZ}", fmt::gmtime(static_cast<std::time_t>(time_ms / 1000)));
}

} // namespace penstock
