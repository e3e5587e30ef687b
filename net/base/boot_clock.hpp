// A clock for promises between nodes.
#pragma once

#include <ctime>

#include <cstdint>

namespace penstock {

/// Nanoseconds since the machine started. Unlike the steady clock it runs on while the machine is
/// suspended, and so a node that slept for long knows that what it was promised is over.
inline std::int64_t boot_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return now.tv_sec * std::int64_t{1'000'000'000} + now.tv_nsec;
}

} // namespace penstock
