// For other nodes: deciding for their front ends, and leasing to them.
#pragma once

#include "actors/interfaces/interfaces.hpp"
#include "actors/limiter/lease_granter.hpp"
#include "actors/limiter/limiter_context.hpp"
#include "actors/limiter/owner_backup.hpp"
#include "actors/limiter/peer_messages.hpp"
#include "actors/limiter/shard_table.hpp"

#include <cstdint>
#include <vector>

namespace penstock {

/// Processes that are members no more: what they may have been leased is remembered no longer.
inline constexpr std::size_t max_dead_holders = 256;

/// What this node does as the owner of shards. Not synchronised.
class shard_owner {
 public:
  shard_owner(const limiter_context& context, const shard_table& table, lease_granter& granter,
              owner_backup& backup)
      : context_(context), table_(table), granter_(granter), backup_(backup) {}

  /// Answers, at once or when the backup knows of the leases in the answer.
  void decide(const owner_request& request, const limiter_handle& from);
  /// To be answered with what it gives, unless that has no token.
  returns_taken take_back(const leases_returned& returned);

  /// A view came: who is in `before` and not in it is dead. Null: there was none.
  void note_dead(const placement* before);
  /// Takes back half of what dead holders had, once the view is confirmed: they have no right to
  /// spend leases any more.
  void reclaim();
  /// Leases that came with their shard.
  void take_in_leases(const std::vector<moved_lease>& leases);

 private:
  bool owns_all(const std::vector<admit_item>& items) const;
  bool is_dead(std::uint64_t holder) const;

  const limiter_context& context_;
  const shard_table& table_;
  lease_granter& granter_;
  owner_backup& backup_;
  std::vector<std::uint64_t> dead_holders_; // the latest last
  bool may_reclaim_ = false;                // somebody died, or leases came in
};

} // namespace penstock
