// Checksums of small records, spelt in letters.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace penstock {

/// The first `letters` (64 at most) half bytes of a text's SHA-256, each as a letter from a to p.
/// There are no digits in it, so that it may stand behind a number. It tells damage, not forgery.
std::string checksum_letters(std::string_view text, std::size_t letters);

/// Letters that are enough to tell damage of a row.
inline constexpr std::size_t row_checksum_letters = 16;

/// A name that may be damaged, for a sentence: at most 128 bytes of it, with `?` for what is no
/// printable ASCII.
std::string readable_name(std::string_view name);

} // namespace penstock
