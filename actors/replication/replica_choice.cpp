#include "actors/replication/replica_choice.hpp"

#include <xxhash.h>

#include <cstdint>
#include <utility>

namespace penstock {

std::optional<std::size_t> holder_of(const std::string& tag,
                                     const std::vector<std::string>& candidates) {
  const auto seed = XXH3_64bits(tag.data(), tag.size());
  std::optional<std::size_t> best;
  std::uint64_t best_weight = 0;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const auto& address = candidates[i];
    const auto weight = XXH3_64bits_withSeed(address.data(), address.size(), seed);
    // The address breaks a tie, since the order of the candidates must not.
    if (best && (weight < best_weight || (weight == best_weight && address > candidates[*best])))
      continue;
    best = i;
    best_weight = weight;
  }
  return best;
}

} // namespace penstock
