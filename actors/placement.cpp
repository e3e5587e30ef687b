#include "actors/placement.hpp"

#include <xxhash.h>

namespace penstock {

// XXH3 gives the same value on every machine and in every release of xxHash since 0.8.
static std::uint64_t weight(std::uint32_t shard, const std::string& member) {
  return XXH3_64bits_withSeed(member.data(), member.size(), shard);
}

std::size_t owner_of(std::uint32_t shard, const std::vector<std::string>& members) {
  std::size_t best = 0;
  std::uint64_t best_weight = 0;
  for (std::size_t i = 0; i < members.size(); ++i) {
    const std::uint64_t candidate = weight(shard, members[i]);
    // The address breaks a tie, since the order of the members must not.
    if (i == 0 || candidate > best_weight ||
        (candidate == best_weight && members[i] < members[best])) {
      best = i;
      best_weight = candidate;
    }
  }
  return best;
}

std::vector<std::uint16_t> place_shards(const std::vector<std::string>& members) {
  std::vector<std::uint16_t> owners(shard_count);
  for (std::uint32_t shard = 0; shard < shard_count; ++shard)
    owners[shard] = static_cast<std::uint16_t>(owner_of(shard, members));
  return owners;
}

} // namespace penstock
