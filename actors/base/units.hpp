// Sizes and durations as people write them: "1MiB", "250ms". Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace penstock {

/// Bytes from a whole number and a unit: B, kB, MB, GB, TB (powers of 1000) or KiB, MiB, GiB, TiB
/// (powers of 1024); a space between is allowed. Nothing on bad text or beyond 64 bits.
std::optional<std::uint64_t> parse_size(std::string_view text);

/// A duration from a whole number and a unit: ms, s, m, h or d. Nothing on bad text, or when its
/// nanoseconds do not fit 64 bits (292 years).
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

/// The shortest exact way to write it with the units above, binary ones for sizes: 1048576 is
/// "1MiB", 1000 "1000B".
std::string format_size(std::uint64_t bytes);
std::string format_duration(std::chrono::milliseconds duration);

} // namespace penstock
