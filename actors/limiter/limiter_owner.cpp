// For other nodes: deciding for their front ends, and leasing to them.
#include "actors/base/shards.hpp"
#include "actors/limiter/limiter_cluster.hpp"
#include "actors/limiter/peer_messages.hpp"
#include "actors/limits/limit_messages.hpp"

#include <algorithm>

namespace penstock {

void limiter_cluster::decide(const owner_request& request, const caf::actor& from) {
  owner_reply reply;
  reply.token = request.token;
  parts_.metrics->requests_answered.add();
  reply.moved = !may_decide(parts_.steady_ns()) ||
                !std::ranges::all_of(request.items,
                                     [this](const admit_item& item) { return owns(item.client); });
  if (reply.moved) {
    parts_.metrics->moved.add();
    return with_.self->send(from, std::move(reply));
  }
  const std::int64_t now_ns = with_.clock();
  std::span<const std::uint32_t> sizes = request.sizes;
  std::span<const lease_claim> claims = request.claims;
  const bool may_lease = std::ranges::count(dead_holders_, request.holder) == 0;
  bool waits = false; // for the backup
  for (std::size_t i = 0; i < request.items.size(); ++i) {
    const admit_item& item = request.items[i];
    const std::uint32_t wish = i < request.wishes.size() ? request.wishes[i] : 0;
    const auto at = with_.ledger->locate(item, now_ns);
    if (wish != 0 && !claims.empty()) {
      if (at.in)
        parts_.metrics->units_returned.add(
            desk_.settle(limit_ledger::key_of(at, item), request.holder, claims.front(), now_ns));
      claims = claims.subspan(1);
    }
    // A peer that sends too few has its batches decided as a whole.
    const bool sized = item.events > 1 && item.bytes > 0 && item.events <= sizes.size();
    const auto decided =
        with_.decide(at, item, sized ? sizes.first(item.events) : sizes.first(0), now_ns);
    if (sized) sizes = sizes.subspan(item.events);
    reply.verdicts.push_back(decided.answer);
    note_charge(item.client, decided.answer.granted);
    waits = waits || is_at_bound(item);
    if (wish == 0 || !may_lease) continue;
    lease_answer lease =
        desk_.answer(at, item, decided, wish, {request.holder, request.token}, now_ns);
    lease.item = static_cast<std::uint32_t>(i);
    parts_.metrics->units_leased.add(lease.units);
    waits = waits || (lease.units != 0 && has_backup(item.client));
    if (lease != lease_answer{.item = lease.item}) reply.leases.push_back(lease);
  }
  const std::uint64_t next_backup = last_backup_ + 1;
  if (waits || unconfirmed_.unsent() >= max_unsent_units) back_up();
  if (waits)
    held_replies_.push_back({from, std::move(reply), next_backup, parts_.steady_ns()});
  else
    with_.self->send(from, std::move(reply));
}

// -- what comes back ------------------------------------------------------------------------------

// A shard that is on its way here may be behind the return, one that has left is not waited for:
// the holder is to say it to the owner of then.
returns_taken limiter_cluster::take_back(const leases_returned& returned) {
  returns_taken done;
  done.token = returned.token;
  const std::int64_t now_ns = with_.clock();
  for (std::size_t i = 0; i < returned.leases.size(); ++i) {
    if (i < returned.clients.size() && roles_[shard_of(returned.clients[i])] == role::foreign)
      done.moved = true;
    else
      parts_.metrics->units_returned.add(desk_.take_back(returned.leases[i], now_ns));
  }
  return done;
}

void limiter_cluster::note_dead(const placement* before) {
  const auto& alive = places_->holders;
  std::erase_if(dead_holders_,
                [&](std::uint64_t each) { return std::ranges::count(alive, each) != 0; });
  if (!before) return;
  for (const std::uint64_t each : before->holders)
    if (std::ranges::count(alive, each) == 0 && std::ranges::count(dead_holders_, each) == 0)
      dead_holders_.push_back(each);
  if (dead_holders_.size() > max_dead_holders)
    dead_holders_.erase(dead_holders_.begin(),
                        dead_holders_.end() - static_cast<std::ptrdiff_t>(max_dead_holders));
  may_reclaim_ = true;
}

// Who was taken out has no right to spend leases any more, once that is confirmed.
void limiter_cluster::reclaim() {
  if (!may_reclaim_ || !places_ || !places_->confirmed) return;
  may_reclaim_ = false;
  parts_.metrics->units_reclaimed.add(desk_.reclaim(
      [this](std::uint64_t holder) { return std::ranges::count(dead_holders_, holder) != 0; },
      with_.clock()));
}

// Others have gone on without this node: what it gave and what it has counts no more.
void limiter_cluster::forget_leases() {
  (void)purse_.collect_all();
  desk_.forget_all(with_.clock());
}

void limiter_cluster::take_in_leases(const std::vector<moved_lease>& leases) {
  const std::int64_t now_ns = with_.clock();
  for (const moved_lease& lease : leases)
    desk_.take_in(lease, now_ns);
  may_reclaim_ = true;
}

} // namespace penstock
