// The hashed-client space is cut into shards, which nodes and limiters share.
#pragma once

#include <cstdint>

namespace penstock {

/// The hashed-client space is cut into this many shards; fixed for the life of a cluster, since
/// every node must agree on it. A node's limiter actors share its shards.
inline constexpr std::uint32_t shard_count = 256;

/// The shard of a client's keyed hash: its top bits, so that the low ones stay for hash tables.
constexpr std::uint32_t shard_of(std::uint64_t client) {
  return static_cast<std::uint32_t>(client >> 56);
}

} // namespace penstock
