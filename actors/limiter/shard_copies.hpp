// What this node keeps of other owners' shards as their backup, for the day on which one of them
// dies.
#pragma once

#include "actors/limiter/lease_granter.hpp"
#include "actors/limiter/limiter_context.hpp"
#include "actors/limiter/peer_messages.hpp"
#include "actors/limiter/shard_table.hpp"

#include <array>
#include <bitset>
#include <cstdint>
#include <vector>

namespace penstock {

/// The counters of copies lie in the ledger, beside those of own shards; leases lie here. Not
/// synchronised.
class shard_copies {
 public:
  shard_copies(const limiter_context& context, const shard_table& table)
      : context_(context), table_(table), saved_(context.parts.saved) {
    ended_of_.fill(no_member);
  }

  /// What an owner streamed. Of shards that this node owns it is passed over.
  void on_rows(const backup_rows& rows);

  /// Whether this node, that was the backup, was told all of the shard by its owner, or by one that
  /// does not say. `before`: the view before; null: there was none.
  bool has_whole(std::uint32_t shard, const placement* before) const;
  void set_whole(std::uint32_t shard, bool whole) { whole_.set(shard, whole); }
  /// It is told nothing of that owner any more, of which it knows all until now if it has the
  /// whole.
  void end(std::uint32_t shard, std::uint16_t owner) {
    if (whole_[shard]) ended_of_[shard] = owner;
    whole_.reset(shard);
  }
  void forget_ended(std::uint32_t shard) { ended_of_[shard] = no_member; }
  /// Whether it knows all that the owner did while this node was its backup.
  bool had_whole_of(std::uint32_t shard, std::uint16_t owner) const {
    return ended_of_[shard] == owner;
  }

  /// Whether of the shard's counters those that this process restored from its disk may be the
  /// latest: all nodes may have ended, and who has the shard began with what it had saved itself.
  bool has_saved(std::uint32_t shard) const { return saved_[shard]; }
  void add_saved(std::uint32_t shard) { saved_.set(shard); }
  void drop_saved(std::uint32_t shard) { saved_.reset(shard); }

  /// The shard's leases, which are forgotten here.
  std::vector<moved_lease> take_leases(std::uint32_t shard) {
    return leases_.take_out(shard, context_.clock());
  }
  /// Forgets leases that are over.
  void collect() { leases_.collect(context_.clock()); }

 private:
  const limiter_context& context_;
  const shard_table& table_;
  lease_copies leases_{max_granted_leases};
  std::bitset<shard_count> whole_;
  std::array<std::uint16_t, shard_count> ended_of_{};
  std::bitset<shard_count> saved_;
};

} // namespace penstock
