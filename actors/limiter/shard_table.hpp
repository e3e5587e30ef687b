// Who owns which shard, by the latest view, and how the members' limiters are reached: what all
// parts of a limiter in a cluster look at.
#pragma once

#include "actors/base/shards.hpp"
#include "actors/cluster/link_messages.hpp"
#include "actors/cluster/placement.hpp"
#include "actors/interfaces/interfaces.hpp"
#include "actors/limiter/limiter_context.hpp"
#include "storage/base/assert.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace penstock {

/// What this limiter is to a shard: another node's, on its way here, or its own. Only the owner
/// decides. shard_mover.cpp draws how roles change.
enum class shard_role : std::uint8_t { foreign, arriving, own };

/// Not synchronised.
class shard_table {
 public:
  /// Stands for whichever member sends a shard.
  static constexpr std::uint16_t any_member = no_member - 1;

  explicit shard_table(const limiter_cluster_parts& parts)
      : self_(parts.self), lane_(parts.lane), lanes_(parts.lanes),
        decides_until_ns_(parts.decides_until_ns) {
    PENSTOCK_ASSERT(lane_ < lanes_);
  }

  // -- the view -----------------------------------------------------------------------------------

  bool has_view() const { return places_ != nullptr; }
  /// There is one.
  const placement& view() const {
    PENSTOCK_ASSERT(places_ != nullptr);
    return *places_;
  }
  /// 0: there is no view yet.
  std::uint64_t epoch() const { return places_ ? places_->epoch : 0; }
  /// When the view came, steady.
  std::int64_t viewed_ns() const { return viewed_ns_; }
  /// Gives the view before; null: there was none.
  placement_ptr change_view(placement_ptr to, std::int64_t steady_ns);

  // -- shards -------------------------------------------------------------------------------------

  std::uint16_t self() const { return self_; }
  /// Of all limiters of the node this one has the shard.
  bool is_mine(std::uint32_t shard) const { return shard % lanes_ == lane_; }
  shard_role role_of(std::uint32_t shard) const {
    PENSTOCK_ASSERT(shard < shard_count);
    return roles_[shard];
  }
  void set_role(std::uint32_t shard, shard_role role);
  bool owns(std::uint64_t client) const { return roles_[shard_of(client)] == shard_role::own; }
  /// Whether the node may decide for what it owns.
  bool may_decide(std::int64_t steady_ns) const {
    return !decides_until_ns_ || steady_ns < decides_until_ns_->load(std::memory_order_relaxed);
  }
  /// By the view; this node while there is none.
  std::uint16_t owner_of(std::uint32_t shard) const {
    return places_ ? places_->shards[shard].owner : self_;
  }
  /// no_member: nobody.
  std::uint16_t backup_of(std::uint32_t shard) const {
    return places_ ? places_->shards[shard].backup : no_member;
  }
  std::int64_t count(shard_role role) const;

  // -- members ------------------------------------------------------------------------------------

  bool is_member(std::uint16_t number) const;
  /// The member's limiter of the shard; null: it is out of reach.
  const limiter_handle* limiter_of(std::uint16_t member, std::uint32_t shard) const;
  /// The limiter to which the shard's owner streams its counters; null likewise.
  const limiter_handle* backup_limiter(std::uint32_t shard) const {
    return limiter_of(backup_of(shard), shard);
  }
  /// Of messages to the member; 0: it was never linked.
  std::uint32_t version_of(std::uint16_t member) const;
  bool was_lost(std::uint16_t member) const;
  /// The member decides by no view before this one any more. UINT64_MAX: nothing was heard of it.
  std::uint64_t epoch_of(std::uint16_t member) const;
  void note_epoch(std::uint16_t member, std::uint64_t epoch);
  void peer_is_up(const peer_up& update);
  /// Gives the limiters that were reached there.
  std::vector<limiter_handle> peer_is_down(std::uint16_t member);

 private:
  struct peer {
    std::vector<limiter_handle> limiters; // empty: out of reach
    bool was_lost = false;
    std::uint64_t epoch = 0;
    std::uint32_t version = 0; // of messages to it
  };

  peer& peer_at(std::uint16_t member);

  std::uint16_t self_;
  std::size_t lane_;
  std::size_t lanes_;
  std::shared_ptr<const std::atomic<std::int64_t>> decides_until_ns_;
  placement_ptr places_;
  std::int64_t viewed_ns_ = 0;
  std::array<shard_role, shard_count> roles_{};
  std::vector<peer> peers_; // by number
};

} // namespace penstock
