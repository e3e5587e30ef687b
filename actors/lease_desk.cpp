#include "actors/lease_desk.hpp"

#include <algorithm>

namespace penstock {

namespace {

// A holder returns what is left when a lease ends; so long it may be on its way.
constexpr std::int64_t return_grace_ns = 1'000'000'000;
constexpr std::int64_t max_lease_left_ns = 2 * max_lease_interval_ns + return_grace_ns;
constexpr std::int64_t desk_collect_interval_ns = 1'000'000'000;
// Of what is left, so much goes to who asks: others may ask too.
constexpr std::uint32_t scarce_part = 4;

} // namespace

lease_answer lease_desk::answer(const limit_ledger::location& at, const admit_item& item,
                                const limit_ledger::decision& decided, std::uint32_t wish,
                                std::int64_t now_ns) {
  lease_answer out;
  if (wish == 0 || !at.in || at.full) return out;
  const lease_terms terms = ledger_.terms(at, item.limits);
  const std::int64_t longest = terms.max_units == 0 ? max_refusal_ns : terms.lifetime_ns();
  const auto room = ledger_.leasable(at, item.limits, longest, now_ns);
  if (decided.answer.granted == 0 && item.events > 0) {
    if (decided.answer.reason != static_cast<std::uint8_t>(refusal::quota)) return out;
    // Nothing comes before retry_ns unless somebody gives units back. Where units come singly,
    // asking for each would cost more than waiting for some: but never beyond a window's end.
    out.again_ns = std::clamp(decided.retry_ns, std::min(terms.interval_ns, longest), longest);
    out.again_ns = std::min(out.again_ns, std::max(room.lifetime_ns, decided.retry_ns));
    return out;
  }
  if (terms.max_units == 0 || given_.size() >= max_leases_) return out;
  std::uint32_t units = std::min(wish, terms.max_units);
  if (room.units / scarce_part < units) {
    units = room.units / scarce_part;
    out.again_ns = std::min(terms.interval_ns, room.lifetime_ns);
  }
  if (units == 0 || room.lifetime_ns <= 0) {
    out.again_ns = 0;
    return out;
  }
  out.lease = ++last_id_;
  out.units = units;
  out.lifetime_ns = room.lifetime_ns;
  given entry{ledger_.key_of(at, item),
              units,
              now_ns + room.lifetime_ns + return_grace_ns,
              {},
              decided.answer.plan_digest};
  entry.marks = ledger_.set_aside(at, item.limits, units, room.lifetime_ns, now_ns);
  given_.emplace(out.lease, entry);
  return out;
}

std::uint32_t lease_desk::take_back(const lease_return& what, std::int64_t now_ns) {
  const auto found = given_.find(what.lease);
  if (found == given_.end()) return 0;
  given& entry = found->second;
  const std::uint32_t units = std::min(what.units, entry.units);
  ledger_.give_back(entry.key, entry.marks, entry.units, units, now_ns);
  given_.erase(found);
  return units;
}

std::vector<moved_lease> lease_desk::take_out(std::uint32_t shard, std::int64_t now_ns) {
  std::vector<moved_lease> out;
  boost::unordered::erase_if(given_, [&](const auto& each) {
    const auto& [id, entry] = each;
    if (shard_of(entry.key.client) != shard) return false;
    out.push_back({id,
                   entry.key.client,
                   entry.key.key,
                   entry.key.plan,
                   entry.key.stream,
                   entry.key.limits,
                   entry.units,
                   entry.over_ns - now_ns,
                   {entry.marks.begin(), entry.marks.end()},
                   entry.plan_digest});
    return true;
  });
  return out;
}

void lease_desk::take_in(const moved_lease& lease, std::int64_t now_ns) {
  if (given_.size() >= max_leases_ || lease.left_ns <= 0) return;
  if (lease.plan_digest != ledger_.digest_of(lease.plan)) return;
  given entry{{lease.client, lease.key, lease.plan, lease.stream, lease.limits},
              lease.units,
              now_ns + std::min(lease.left_ns, max_lease_left_ns),
              {},
              lease.plan_digest};
  std::copy_n(lease.marks.begin(), std::min(lease.marks.size(), entry.marks.size()),
              entry.marks.begin());
  given_.emplace(lease.lease, entry);
}

void lease_desk::collect(std::int64_t now_ns) {
  if (now_ns - collected_ns_ < desk_collect_interval_ns) return;
  collected_ns_ = now_ns;
  boost::unordered::erase_if(given_,
                             [now_ns](const auto& each) { return each.second.over_ns < now_ns; });
}

} // namespace penstock
