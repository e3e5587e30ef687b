// The cluster as one front end sees it: who owns a shard, and which front ends of peers are linked.
#pragma once

#include "actors/cluster/link_messages.hpp"
#include "actors/cluster/placement.hpp"
#include "actors/interfaces/interfaces.hpp"

#include <cstdint>
#include <utility>
#include <vector>

namespace penstock {

/// Changes by messages only. Not synchronised.
class cluster_routes {
 public:
  /// Null: the node is alone. `self_member`: this node's number there.
  cluster_routes(placement_ptr places, std::uint16_t self_member)
      : places_(std::move(places)), self_member_(self_member) {}

  void set_placement(placement_ptr places) { places_ = std::move(places); }
  void on_peer_up(const peer_up& update) {
    if (front_ends_.size() <= update.member) front_ends_.resize(update.member + 1u);
    front_ends_[update.member] = update.front_ends;
  }
  void on_peer_down(const peer_down& update) {
    if (update.member < front_ends_.size()) front_ends_[update.member].clear();
  }

  std::uint16_t self_member() const { return self_member_; }
  /// Of the view in force; 0: the node is alone, or the list of members is fixed.
  std::uint64_t epoch() const { return places_ ? places_->epoch : 0; }
  std::uint16_t owner_of(std::uint32_t shard) const {
    return places_ ? places_->shards[shard].owner : self_member_;
  }
  bool is_own(std::uint32_t shard) const { return owner_of(shard) == self_member_; }

  bool is_linked(std::uint16_t member) const {
    return member < front_ends_.size() && !front_ends_[member].empty();
  }
  /// With a directory a member may just have joined, or is about to be replaced. In a fixed list it
  /// is away.
  bool may_link(std::uint16_t member) const {
    return places_ && places_->epoch > 0 && member < places_->members.size() &&
           !places_->members[member].empty();
  }
  /// The one for this key, of a member that is linked.
  const front_end_handle& front_end_of(std::uint16_t member, std::uint64_t key_low) const {
    const auto& all = front_ends_[member];
    return all[key_low % all.size()];
  }

 private:
  placement_ptr places_;
  std::uint16_t self_member_;
  std::vector<std::vector<front_end_handle>> front_ends_; // by member
};

} // namespace penstock
