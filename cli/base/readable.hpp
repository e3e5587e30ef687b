// Sizes and ages for people to read. Pure.
#pragma once

#include <cstdint>
#include <string>

namespace penstock {

/// "12.5 MiB", "7 B"; `space` stands before the unit.
std::string size_text(std::uint64_t bytes, const char* space = " ");
/// "0 s", "90 s", "12 min", "3.5 h", "4.0 d".
std::string age_text(double seconds);

} // namespace penstock
