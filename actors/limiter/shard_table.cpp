#include "actors/limiter/shard_table.hpp"

#include <algorithm>
#include <utility>

namespace penstock {

placement_ptr shard_table::change_view(placement_ptr to, std::int64_t steady_ns) {
  PENSTOCK_ASSERT(to != nullptr);
  viewed_ns_ = steady_ns;
  return std::exchange(places_, std::move(to));
}

void shard_table::set_role(std::uint32_t shard, shard_role role) {
  PENSTOCK_ASSERT(shard < shard_count);
  PENSTOCK_ASSERT(is_mine(shard));
  roles_[shard] = role;
}

std::int64_t shard_table::count(shard_role role) const {
  return std::ranges::count(roles_, role);
}

bool shard_table::is_member(std::uint16_t number) const {
  if (number == any_member) return true;
  const auto& members = view().members;
  return number < members.size() && !members[number].empty();
}

const limiter_handle* shard_table::limiter_of(std::uint16_t member, std::uint32_t shard) const {
  if (member >= peers_.size() || peers_[member].limiters.empty()) return nullptr;
  const auto& limiters = peers_[member].limiters;
  return &limiters[shard % limiters.size()];
}

std::uint32_t shard_table::version_of(std::uint16_t member) const {
  return member < peers_.size() ? peers_[member].version : 0;
}

bool shard_table::was_lost(std::uint16_t member) const {
  return member < peers_.size() && peers_[member].was_lost;
}

std::uint64_t shard_table::epoch_of(std::uint16_t member) const {
  return member < peers_.size() ? peers_[member].epoch : UINT64_MAX;
}

void shard_table::note_epoch(std::uint16_t member, std::uint64_t epoch) {
  auto& known = peer_at(member).epoch;
  known = std::max(known, epoch);
}

void shard_table::peer_is_up(const peer_up& update) {
  peer& at = peer_at(update.member);
  at.limiters = update.limiters;
  at.version = update.version;
  at.was_lost = false;
}

std::vector<limiter_handle> shard_table::peer_is_down(std::uint16_t member) {
  peer& at = peer_at(member);
  at.was_lost = true;
  return std::exchange(at.limiters, {});
}

shard_table::peer& shard_table::peer_at(std::uint16_t member) {
  PENSTOCK_ASSERT(member < any_member);
  if (peers_.size() <= member) peers_.resize(member + 1u);
  return peers_[member];
}

} // namespace penstock
