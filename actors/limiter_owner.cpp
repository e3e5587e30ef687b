// For other nodes: deciding for their front ends, and leasing to them.
#include "actors/limiter_cluster.hpp"

#include <algorithm>

namespace penstock {

owner_reply limiter_cluster::decide(const owner_request& request) {
  owner_reply reply;
  reply.token = request.token;
  parts_.metrics->requests_answered.add();
  reply.moved = !may_decide(parts_.steady_ns()) ||
                !std::ranges::all_of(request.items,
                                     [this](const admit_item& item) { return owns(item.client); });
  if (reply.moved) {
    parts_.metrics->moved.add();
    return reply;
  }
  const std::int64_t now_ns = with_.clock();
  std::span<const std::uint32_t> sizes = request.sizes;
  for (std::size_t i = 0; i < request.items.size(); ++i) {
    const admit_item& item = request.items[i];
    // A peer that sends too few has its batches decided as a whole.
    const bool sized = item.events > 1 && item.bytes > 0 && item.events <= sizes.size();
    const auto at = with_.ledger->locate(item, now_ns);
    const auto decided =
        with_.decide(at, item, sized ? sizes.first(item.events) : sizes.first(0), now_ns);
    if (sized) sizes = sizes.subspan(item.events);
    reply.verdicts.push_back(decided.answer);
    unsent_units_ += decided.answer.granted;
    const std::uint32_t wish = i < request.wishes.size() ? request.wishes[i] : 0;
    if (wish == 0) continue;
    lease_answer lease = desk_.answer(at, item, decided, wish, now_ns);
    lease.item = static_cast<std::uint32_t>(i);
    unsent_units_ += lease.units;
    parts_.metrics->units_leased.add(lease.units);
    if (lease != lease_answer{.item = lease.item}) reply.leases.push_back(lease);
  }
  if (unsent_units_ >= max_unsent_units) back_up();
  return reply;
}

void limiter_cluster::take_back(const leases_returned& returned) {
  const std::int64_t now_ns = with_.clock();
  for (const lease_return& each : returned.leases)
    parts_.metrics->units_returned.add(desk_.take_back(each, now_ns));
}

} // namespace penstock
