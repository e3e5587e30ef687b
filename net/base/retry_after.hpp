// What a client is told that something but a limit stands against.
#pragma once

#include <cstdint>

namespace penstock {

inline constexpr std::uint16_t status_unavailable = 503;
inline constexpr std::uint32_t retry_when_unavailable_s = 1;
inline constexpr std::uint32_t retry_when_full_s = 10;
inline constexpr std::uint32_t retry_when_unpublished_s = 10;

} // namespace penstock
