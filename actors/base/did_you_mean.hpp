// The word that was probably meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// The candidate with the fewest edits (insert, delete, change or swap two neighbours) to `word`,
/// if it takes no more than a third of the word's length (at least one edit); else empty. Pure.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

} // namespace penstock
