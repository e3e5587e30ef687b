// Lengths of time in the limiters' unit, nanoseconds.
#pragma once

#include <cstdint>

namespace penstock {

inline constexpr std::int64_t second_ns = 1'000'000'000;
inline constexpr std::int64_t hour_ns = 3600 * second_ns;

} // namespace penstock
