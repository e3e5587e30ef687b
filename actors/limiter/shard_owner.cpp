#include "actors/limiter/shard_owner.hpp"

#include "actors/limits/event_sizes.hpp"

#include <algorithm>
#include <span>

namespace penstock {

bool shard_owner::owns_all(const std::vector<admit_item>& items) const {
  return std::ranges::all_of(items,
                             [this](const admit_item& item) { return table_.owns(item.client); });
}

bool shard_owner::is_dead(std::uint64_t holder) const {
  return std::ranges::count(dead_holders_, holder) != 0;
}

void shard_owner::decide(const owner_request& request, const limiter_handle& from) {
  limiter_cluster_metrics& metrics = *context_.parts.metrics;
  owner_reply reply;
  reply.token = request.token;
  metrics.requests_answered.add();
  reply.moved = !table_.may_decide(context_.parts.steady_ns()) || !owns_all(request.items);
  if (reply.moved) {
    metrics.moved.add();
    return context_.self->send(from, std::move(reply));
  }
  const std::int64_t now_ns = context_.clock();
  event_sizes sizes{request.sizes}; // a peer that sends too few has its batches decided as a whole
  std::span<const lease_settlement> settlements = request.settlements;
  const bool may_lease = !is_dead(request.holder);
  bool waits = false; // for the backup
  for (std::size_t i = 0; i < request.items.size(); ++i) {
    const admit_item& item = request.items[i];
    const std::uint32_t requested =
        i < request.requested_units.size() ? request.requested_units[i] : 0;
    const auto at = context_.ledger->locate(item, now_ns);
    if (requested != 0 && !settlements.empty()) {
      if (at.in)
        metrics.units_returned.add(granter_.settle(ledger_leases::key_of(at, item), request.holder,
                                                   settlements.front(), now_ns));
      settlements = settlements.subspan(1);
    }
    const auto decided = backup_.decide(at, item, sizes.next(item), now_ns);
    reply.verdicts.push_back(decided.answer);
    waits = waits || backup_.is_at_bound(item);
    if (requested == 0 || !may_lease) continue;
    lease_answer lease =
        granter_.answer(at, item, decided, requested, {request.holder, request.token}, now_ns);
    PENSTOCK_ASSERT(lease.units <= requested);
    lease.item = static_cast<std::uint32_t>(i);
    metrics.units_leased.add(lease.units);
    waits = waits || (lease.units != 0 && backup_.has_backup(item.client));
    if (lease != lease_answer{.item = lease.item}) reply.leases.push_back(lease);
  }
  PENSTOCK_ASSERT(reply.verdicts.size() == request.items.size());
  backup_.answer(from, std::move(reply), waits);
}

// -- what comes back ------------------------------------------------------------------------------

// A shard that is on its way here may be behind the return, one that has left is not waited for:
// the holder is to say it to the owner of then.
returns_taken shard_owner::take_back(const leases_returned& returned) {
  returns_taken done;
  done.token = returned.token;
  const std::int64_t now_ns = context_.clock();
  for (std::size_t i = 0; i < returned.leases.size(); ++i) {
    if (i < returned.clients.size() &&
        table_.role_of(shard_of(returned.clients[i])) == shard_role::foreign)
      done.moved = true;
    else
      context_.parts.metrics->units_returned.add(granter_.take_back(returned.leases[i], now_ns));
  }
  return done;
}

void shard_owner::note_dead(const placement* before) {
  const auto& alive = table_.view().holders;
  const auto is_alive = [&](std::uint64_t each) { return std::ranges::count(alive, each) != 0; };
  std::erase_if(dead_holders_, is_alive);
  if (!before) return;
  for (const std::uint64_t each : before->holders)
    if (!is_alive(each) && !is_dead(each)) dead_holders_.push_back(each);
  if (dead_holders_.size() > max_dead_holders)
    dead_holders_.erase(dead_holders_.begin(),
                        dead_holders_.end() - static_cast<std::ptrdiff_t>(max_dead_holders));
  PENSTOCK_ASSERT(dead_holders_.size() <= max_dead_holders);
  may_reclaim_ = true;
}

void shard_owner::reclaim() {
  if (!may_reclaim_ || !table_.has_view() || !table_.view().confirmed) return;
  may_reclaim_ = false;
  // A lease that is to go with its shard may have come back to the new owner, before its shard.
  const auto is_lost = [this](std::uint64_t holder, std::uint64_t client) {
    return table_.owns(client) && is_dead(holder);
  };
  context_.parts.metrics->units_reclaimed.add(granter_.reclaim(is_lost, context_.clock()));
}

void shard_owner::take_in_leases(const std::vector<moved_lease>& leases) {
  const std::int64_t now_ns = context_.clock();
  for (const moved_lease& lease : leases)
    granter_.take_in(lease, now_ns);
  may_reclaim_ = true;
}

} // namespace penstock
