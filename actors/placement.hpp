// Where a client's counters live: hash → shard → node, as pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// The hashed-client space is cut into this many shards; fixed for the life of a cluster, since
/// every node must agree on it. A node's limiter actors share its shards.
inline constexpr std::uint32_t shard_count = 256;

/// The shard of a client's keyed hash: its top bits, so that the low ones stay for hash tables.
constexpr std::uint32_t shard_of(std::uint64_t client) {
  return static_cast<std::uint32_t>(client >> 56);
}

/// Rendezvous (highest random weight) hashing, Thaler and Ravishankar 1998: index of the member
/// that owns the shard. Every node gets the same answer whatever the order of `members`, and a
/// member that leaves moves only its own shards. `members` are the nodes' cluster addresses; not
/// empty.
std::size_t owner_of(std::uint32_t shard, const std::vector<std::string>& members);

/// For each shard the index of its owner among `members`.
std::vector<std::uint16_t> place_shards(const std::vector<std::string>& members);

} // namespace penstock
