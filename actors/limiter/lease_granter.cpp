#include "actors/limiter/lease_granter.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>

namespace penstock {

namespace {

// A holder returns what is left when a lease ends; so long it may be on its way.
constexpr std::int64_t return_grace_ns = 1'000'000'000;
constexpr std::int64_t max_lease_left_ns = max_lease_lifetime_ns + return_grace_ns;
constexpr std::int64_t granter_collect_interval_ns = 1'000'000'000;
// Of what is left, so much goes to who asks: others may ask too.
constexpr std::uint32_t scarce_part = 4;

lease_key key_of(const moved_lease& lease) {
  return {lease.client, lease.key, lease.plan, lease.stream, lease.limits};
}

} // namespace

std::vector<moved_lease> with_origins(std::vector<moved_lease> leases,
                                      const std::vector<lease_origin>& origins) {
  for (std::size_t i = 0; i < std::min(leases.size(), origins.size()); ++i)
    leases[i].origin = origins[i];
  return leases;
}

// -- what is known --------------------------------------------------------------------------------

void lease_granter::add(std::uint64_t lease, const given& entry) {
  const bool is_new = given_.emplace(lease, entry).second;
  PENSTOCK_ASSERT(is_new);
  PENSTOCK_ASSERT(given_.size() <= max_leases_);
  if (entry.origin.holder != 0) held_[{entry.origin.holder, entry.key}] = lease;
  note(lease, entry.key.client);
}

void lease_granter::end(map::iterator at, std::uint32_t unspent, std::int64_t now_ns) {
  const auto [lease, entry] = *at;
  PENSTOCK_ASSERT(unspent <= entry.units);
  ledger_.leases().settle(entry.key, entry.marks, entry.units, unspent, now_ns);
  const auto held = held_.find(holder_key{entry.origin.holder, entry.key});
  if (held != held_.end() && held->second == lease) held_.erase(held);
  given_.erase(at);
  note(lease, entry.key.client);
}

template <class Which>
std::vector<lease_granter::map::iterator> lease_granter::leases_where(Which&& which) {
  std::vector<map::iterator> out;
  for (auto at = given_.begin(); at != given_.end(); ++at)
    if (which(at->second)) out.push_back(at);
  return out;
}

// -- holders --------------------------------------------------------------------------------------

std::uint32_t lease_granter::settle(const lease_key& key, std::uint64_t holder,
                                    const lease_settlement& settlement, std::int64_t now_ns) {
  if (holder == 0) return 0;
  std::uint32_t back = 0;
  const auto had = given_.find(settlement.lease);
  if (had != given_.end() && had->second.origin.holder == holder && had->second.key == key) {
    back = std::min(settlement.unspent, had->second.units);
    end(had, back, now_ns);
  }
  const auto last = held_.find(holder_key{holder, key});
  if (settlement.void_from == 0 || last == held_.end()) return back;
  const auto unheard = given_.find(last->second);
  PENSTOCK_ASSERT(unheard != given_.end()); // held_ has only leases that are under way
  if (unheard->second.origin.token < settlement.void_from) return back;
  back += unheard->second.units;
  end(unheard, unheard->second.units, now_ns);
  return back;
}

lease_answer lease_granter::answer(const limit_ledger::location& at, const admit_item& item,
                                   const limit_ledger::decision& decided,
                                   std::uint32_t requested_units, const lease_origin& origin,
                                   std::int64_t now_ns) {
  lease_answer out;
  if (requested_units == 0 || !at.in || at.full) return out;
  const lease_terms terms = ledger_.leases().terms(at, item.limits);
  const std::int64_t lifetime_ns = terms.max_units == 0 ? max_refusal_ns : terms.lifetime_ns;
  const std::int64_t longest = std::min(lifetime_ns, max_refusal_ns);
  const auto room = ledger_.leases().leasable(at, item.limits, lifetime_ns, now_ns);
  if (decided.answer.granted == 0 && item.events > 0) {
    if (decided.answer.reason != static_cast<std::uint8_t>(refusal::quota)) return out;
    // Nothing comes before retry_ns unless somebody gives units back. Where units come singly,
    // asking for each would cost more than waiting for some: but never beyond a window's end.
    out.again_ns = std::clamp(decided.retry_ns, std::min(terms.interval_ns, longest), longest);
    out.again_ns = std::min(out.again_ns, std::max(room.lifetime_ns, decided.retry_ns));
    return out;
  }
  if (terms.max_units == 0 || given_.size() >= max_leases_) return out;
  std::uint32_t units = std::min(requested_units, terms.max_units);
  if (room.units / scarce_part < units) {
    units = room.units / scarce_part;
    out.again_ns = std::min(terms.interval_ns, room.lifetime_ns);
  }
  if (units == 0 || room.lifetime_ns <= 0) {
    out.again_ns = 0;
    return out;
  }
  do // a lease that came from another node may have the number
    ++last_id_;
  while (given_.contains(last_id_));
  out.lease = last_id_;
  PENSTOCK_ASSERT(units <= room.units);
  PENSTOCK_ASSERT(units <= terms.max_units);
  out.units = units;
  out.lifetime_ns = room.lifetime_ns;
  const auto marks = ledger_.leases().set_aside(at, item.limits, units, now_ns);
  add(out.lease,
      {ledger_.leases().key_of(at, item), units, now_ns + room.lifetime_ns + return_grace_ns, marks,
       decided.answer.plan_digest, origin});
  return out;
}

std::uint32_t lease_granter::take_back(const lease_return& what, std::int64_t now_ns) {
  const auto found = given_.find(what.lease);
  if (found == given_.end()) {
    if (early_.size() < max_leases_) early_[what.lease] = {what.units, now_ns + max_lease_left_ns};
    return 0;
  }
  const std::uint32_t units = std::min(what.units, found->second.units);
  end(found, units, now_ns);
  return units;
}

std::uint64_t lease_granter::reclaim(const is_lost_function& is_lost, std::int64_t now_ns) {
  std::uint64_t units = 0;
  for (const auto at : leases_where([&](const given& entry) {
         return entry.origin.holder != 0 && is_lost(entry.origin.holder, entry.key.client);
       })) {
    const std::uint32_t half = at->second.units / 2;
    units += half;
    end(at, half, now_ns);
  }
  return units;
}

// -- other nodes ----------------------------------------------------------------------------------

moved_lease lease_granter::moved(std::uint64_t lease, const given& entry, std::int64_t now_ns) {
  return {lease,
          entry.key.client,
          entry.key.key,
          entry.key.plan,
          entry.key.stream,
          entry.key.limits,
          entry.units,
          entry.over_ns - now_ns,
          {entry.marks.begin(), entry.marks.end()},
          entry.plan_digest,
          entry.origin};
}

std::vector<moved_lease> lease_granter::take_out(std::uint32_t shard, std::int64_t now_ns) {
  std::vector<moved_lease> out;
  for (const auto at :
       leases_where([shard](const given& entry) { return shard_of(entry.key.client) == shard; })) {
    const auto [lease, entry] = *at;
    out.push_back(moved(lease, entry, now_ns));
    ledger_.leases().fold(entry.key, now_ns); // whoever has them now settles them
    held_.erase(holder_key{entry.origin.holder, entry.key});
    given_.erase(at);
  }
  return out;
}

void lease_granter::take_in(const moved_lease& lease, std::int64_t now_ns) {
  if (given_.size() >= max_leases_ || lease.left_ns <= 0 || given_.contains(lease.lease)) return;
  if (lease.plan_digest != ledger_.digest_of(lease.plan)) return;
  given entry{
      key_of(lease),     lease.units, now_ns + std::min(lease.left_ns, max_lease_left_ns), {},
      lease.plan_digest, lease.origin};
  std::copy_n(lease.marks.begin(), std::min(lease.marks.size(), entry.marks.size()),
              entry.marks.begin());
  ledger_.leases().unfold(entry.key, entry.units);
  add(lease.lease, entry);
  const auto came_back = early_.find(lease.lease);
  if (came_back == early_.end()) return;
  (void)take_back({lease.lease, came_back->second.units}, now_ns);
  early_.erase(came_back);
}

void lease_granter::note_changes(bool wanted) {
  notes_changes_ = wanted;
  if (!wanted) changed_.clear();
}

void lease_granter::note(std::uint64_t lease, std::uint64_t client) {
  if (notes_changes_ && changed_.size() < 2 * max_leases_) changed_.push_back({lease, client});
}

void lease_granter::mark_shards(const std::bitset<shard_count>& shards) {
  if (shards.none()) return;
  for (const auto& [lease, entry] : given_)
    if (shards[shard_of(entry.key.client)]) note(lease, entry.key.client);
}

std::optional<moved_lease> lease_granter::look_up(std::uint64_t lease, std::int64_t now_ns) const {
  const auto found = given_.find(lease);
  if (found == given_.end()) return std::nullopt;
  return moved(lease, found->second, now_ns);
}

// -- upkeep ---------------------------------------------------------------------------------------

void lease_granter::collect(std::int64_t now_ns) {
  if (now_ns - collected_ns_ < granter_collect_interval_ns) return;
  collected_ns_ = now_ns;
  for (const auto at :
       leases_where([now_ns](const given& entry) { return entry.over_ns < now_ns; }))
    end(at, 0, now_ns);
  boost::unordered::erase_if(early_,
                             [now_ns](const auto& each) { return each.second.over_ns < now_ns; });
}

void lease_granter::forget_all(std::int64_t now_ns) {
  for (const auto& [lease, entry] : given_) {
    ledger_.leases().fold(entry.key, now_ns);
    note(lease, entry.key.client);
  }
  given_.clear();
  held_.clear();
}

// -- copies ---------------------------------------------------------------------------------------

void lease_copies::add(const moved_lease& lease, std::int64_t now_ns) {
  if (kept_.size() >= max_leases_ || lease.left_ns <= 0) return;
  moved_lease copy = lease;
  copy.left_ns = now_ns + std::min(lease.left_ns, max_lease_left_ns);
  kept_.insert_or_assign(lease.lease, std::move(copy));
}

std::vector<moved_lease> lease_copies::take_out(std::uint32_t shard, std::int64_t now_ns) {
  std::vector<moved_lease> out;
  boost::unordered::erase_if(kept_, [&](auto& each) {
    moved_lease& lease = each.second;
    if (shard_of(lease.client) != shard) return false;
    lease.left_ns -= now_ns;
    if (lease.left_ns > 0) out.push_back(std::move(lease));
    return true;
  });
  return out;
}

void lease_copies::collect(std::int64_t now_ns) {
  if (now_ns - collected_ns_ < granter_collect_interval_ns) return;
  collected_ns_ = now_ns;
  boost::unordered::erase_if(kept_,
                             [now_ns](const auto& each) { return each.second.left_ns < now_ns; });
}

} // namespace penstock
