// Where a client's counters live: hash → shard → node, as pure functions.
#pragma once

#include "actors/base/shards.hpp"
#include "actors/directory/directory.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// Rendezvous (highest random weight) hashing, Thaler and Ravishankar 1998: index of the member
/// that owns the shard. Every node gets the same answer whatever the order of `members`, and a
/// member that leaves moves only its own shards. `members` are the nodes' cluster addresses; not
/// empty.
std::size_t owner_of(std::uint32_t shard, const std::vector<std::string>& members);

/// For each shard the index of its owner among `members`.
std::vector<std::uint16_t> place_shards(const std::vector<std::string>& members);

/// A node's own numbers for the others: one an address, never another's.
inline constexpr std::uint16_t no_member = UINT16_MAX;

/// Where a shard is, goes, and would go.
struct shard_place {
  std::uint16_t owner = 0;
  /// Who has its counters when the view comes: the owner before or, if that died, the next in its
  /// order, to which it streamed them. The owner waits for them. no_member: nobody has any.
  std::uint16_t source = no_member;
  /// There were counters, and who had them is dead, though others live; who leaves hands them over.
  bool lost = false;
  bool source_owned = false;        ///< the source was the owner by the view before, not its backup
  std::uint16_t backup = no_member; ///< to whom the owner streams them: the owner if this one dies

  bool operator==(const shard_place&) const = default;
};

/// What follows from a view for every shard; the same on all nodes, but for the numbers.
struct placement {
  std::uint64_t epoch = 0;
  std::vector<std::string> members; ///< addresses, by number; empty: not a member (any more)
  /// False: what a dead member owned must not be taken over yet, see membership::confirmed().
  bool confirmed = true;
  bool was_shared = false;   ///< the view before had several members
  bool includes_self = true; ///< false: this node was taken out, and has a say no more
  /// The processes of the members, as holders of leases: see holder_of().
  std::vector<std::uint64_t> holders{};
  std::array<shard_place, shard_count> shards{};
};
/// Names a process among holders of leases, by its incarnation; never 0.
std::uint64_t holder_of(const std::string& incarnation);

using placement_ptr = std::shared_ptr<const placement>;

/// Pure. Members that leave own nothing, unless all do. `number_of` gives a node's number for an
/// address that it may not have seen before. `members` is for the caller to fill.
placement place(const cluster_view& view,
                const std::function<std::uint16_t(const std::string&)>& number_of);

/// Of a list that never changes: nothing moves, nobody takes over. Numbers are indexes.
placement fixed_placement(const std::vector<std::string>& members);

} // namespace penstock
