// What this node was leased and does not need goes back to who owns the shard by then.
#include "actors/base/shards.hpp"
#include "actors/limiter/limiter_cluster.hpp"
#include "actors/limiter/peer_messages.hpp"

#include <algorithm>
#include <map>

namespace penstock {

void limiter_cluster::give_back(const std::vector<returned_units>& units) {
  if (units.empty()) return;
  const std::int64_t steady_ns = parts_.steady_ns();
  if (recent_returns_.size() + units.size() > max_purse_clients)
    std::erase_if(recent_returns_, // said once, at least
                  [](const recent_return& each) { return each.sent_to != no_member; });
  for (const returned_units& each : units)
    recent_returns_.push_back({each, steady_ns});
  send_returns();
}

// Also what went to an owner that is not one any more: it may have died, and who has what it knew
// takes the lease for held. A return that comes twice changes nothing.
void limiter_cluster::send_returns() {
  std::map<const caf::actor*, leases_returned> by_owner;
  for (recent_return& each : recent_returns_) {
    const std::uint32_t shard = shard_of(each.units.client);
    const std::uint16_t owner = places_ ? places_->shards[shard].owner : each.units.owner;
    if (owner == each.sent_to) continue;
    if (owner == parts_.self) {
      (void)desk_.take_back(each.units.what, with_.clock()); // the shard has come here meanwhile
      each.sent_to = owner;
      each.is_taken = true;
      continue;
    }
    const caf::actor* const to = limiter_of(owner, shard);
    if (!to) continue;
    leases_returned& message = by_owner[to];
    const bool answers = peer_at(owner).version >= returns_wire_version;
    if (answers && message.token == 0) {
      message.version = returns_wire_version;
      message.token = next_return_++;
    }
    message.leases.push_back(each.units.what);
    message.clients.push_back(each.units.client);
    each.sent_to = owner;
    each.token = message.token;
    each.is_taken = !answers; // as far as can be known
  }
  for (auto& [to, message] : by_owner)
    with_.self->send(*to, std::move(message));
}

void limiter_cluster::on_returns_taken(const returns_taken& done) {
  for (recent_return& each : recent_returns_) {
    if (each.token == 0 || each.token != done.token) continue;
    each.token = 0;
    each.is_taken = !done.moved;
    if (done.moved) each.sent_to = no_member; // again with the next tick, or view
  }
}

// What was under way may not have come.
void limiter_cluster::lose_returns(std::uint16_t member) {
  for (recent_return& each : recent_returns_) {
    if (each.sent_to != member || each.is_taken) continue;
    each.sent_to = no_member;
    each.token = 0;
  }
}

void limiter_cluster::forget_returns(std::int64_t steady_ns) {
  std::erase_if(recent_returns_, [steady_ns](const recent_return& each) {
    return steady_ns - each.since_ns > return_memory_ns;
  });
}

bool limiter_cluster::are_all_returned() const {
  return std::ranges::all_of(recent_returns_, &recent_return::is_taken);
}

} // namespace penstock
