// The wall clock, for the edges: everything inside takes time as an argument.
#pragma once

#include <chrono>
#include <cstdint>

namespace penstock {

/// Since the Unix epoch.
inline std::int64_t wall_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}
inline std::int64_t wall_us() {
  return wall_ns() / 1000;
}
inline std::int64_t wall_ms() {
  return wall_ns() / 1'000'000;
}

} // namespace penstock
