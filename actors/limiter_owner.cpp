// For other nodes: deciding for their front ends, and leasing to them.
#include "actors/limiter_cluster.hpp"

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
  bool leases = false;
  for (std::size_t i = 0; i < request.items.size(); ++i) {
    const admit_item& item = request.items[i];
    const std::uint32_t wish = i < request.wishes.size() ? request.wishes[i] : 0;
    const auto at = with_.ledger->locate(item, now_ns);
    if (wish != 0 && !claims.empty()) {
      if (at.in)
        parts_.metrics->units_returned.add(desk_.settle(limit_ledger::key_of(at, item),
                                                        request.holder, claims.front(), now_ns));
      claims = claims.subspan(1);
    }
    // A peer that sends too few has its batches decided as a whole.
    const bool sized = item.events > 1 && item.bytes > 0 && item.events <= sizes.size();
    const auto decided =
        with_.decide(at, item, sized ? sizes.first(item.events) : sizes.first(0), now_ns);
    if (sized) sizes = sizes.subspan(item.events);
    reply.verdicts.push_back(decided.answer);
    unsent_units_ += decided.answer.granted;
    if (wish == 0 || !may_lease) continue;
    lease_answer lease =
        desk_.answer(at, item, decided, wish, {request.holder, request.token}, now_ns);
    lease.item = static_cast<std::uint32_t>(i);
    parts_.metrics->units_leased.add(lease.units);
    leases = leases || (lease.units != 0 && has_backup(item.client));
    if (lease != lease_answer{.item = lease.item}) reply.leases.push_back(lease);
  }
  const std::uint64_t next_backup = last_backup_ + 1;
  if (leases || unsent_units_ >= max_unsent_units) back_up();
  if (leases)
    held_replies_.push_back({from, std::move(reply), next_backup, parts_.steady_ns()});
  else
    with_.self->send(from, std::move(reply));
}

// -- answers that wait for the backup -------------------------------------------------------------

bool limiter_cluster::has_backup(std::uint64_t client) const {
  const std::uint32_t shard = shard_of(client);
  return limiter_of(places_->shards[shard].backup, shard) != nullptr;
}

void limiter_cluster::release_replies() {
  std::erase_if(held_replies_, [this](held_reply& each) {
    if (each.backup > confirmed_backup_) return false;
    with_.self->send(each.to, std::move(each.reply));
    return true;
  });
}

// The verdicts are needed now; leases were never told of and so can't have been spent.
void limiter_cluster::end_late_replies(std::int64_t steady_ns) {
  std::erase_if(held_replies_, [&](held_reply& each) {
    if (steady_ns - each.since_ns < max_lease_delay_ns) return false;
    std::erase_if(each.reply.leases, [this](const lease_answer& lease) {
      if (lease.units == 0) return false;
      (void)desk_.take_back({lease.lease, lease.units}, with_.clock());
      parts_.metrics->leases_withheld.add();
      return true;
    });
    with_.self->send(each.to, std::move(each.reply));
    return true;
  });
}

// -- what comes back ------------------------------------------------------------------------------

void limiter_cluster::take_back(const leases_returned& returned) {
  const std::int64_t now_ns = with_.clock();
  for (const lease_return& each : returned.leases)
    parts_.metrics->units_returned.add(desk_.take_back(each, now_ns));
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
