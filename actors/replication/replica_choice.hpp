// Which node holds the events of which.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace penstock {

/// A holder that says nothing for so long is taken for gone. One that refused, or was taken for
/// gone, is not asked for as long again.
inline constexpr std::chrono::milliseconds holder_patience{3000};

/// Rendezvous hashing: the index of the candidate that comes first for the journal with that tag.
/// Pure. The order of `candidates`, cluster addresses of nodes, does not matter; without one who
/// goes, the next in order follows, and each node's next is another. Nothing: there are none.
std::optional<std::size_t> holder_of(const std::string& tag,
                                     const std::vector<std::string>& candidates);

} // namespace penstock
