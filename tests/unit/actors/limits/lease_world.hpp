// An owner that leases and two holders, with one client, for tests.
#pragma once

#include "actors/limiter/lease_cache.hpp"
#include "actors/limiter/lease_granter.hpp"
#include "actors/limits/limit_messages.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace penstock {

inline constexpr std::int64_t lease_ms = 1'000'000;
inline constexpr std::int64_t lease_s = 1000 * lease_ms;
inline constexpr std::int64_t lease_epoch = 1'700'000'040 * lease_s; // a whole minute, UTC

inline limit lease_limit(algorithm kind, std::uint32_t amount, std::int64_t window_ns,
                         std::uint32_t burst = 0) {
  limit out;
  out.name = "l";
  out.kind = kind;
  out.amount = amount;
  out.window_ns = window_ns;
  out.burst = burst;
  if (kind == algorithm::calendar) out.unit = calendar_unit::hour;
  return out;
}

inline plan_list lease_plan(const limit& rule) {
  return std::make_shared<const std::vector<plan>>(1, plan{"p", {rule}});
}

inline admit_item lease_item(std::uint32_t events = 1) {
  return {.client = 5, .plan = plan_id("p"), .events = events};
}

/// An owner and two holders with one client. Time passes when told.
class lease_world {
 public:
  explicit lease_world(const limit& rule)
      : ledger(lease_plan(rule), 100, std::make_shared<limit_labels>()), granter(ledger, 100, 7) {
    key = lease_key_of(*ledger.rules_of(plan_id("p")), {5, 0, plan_id("p"), 0, all_limits});
  }

  struct message {
    std::int64_t asked_ns = 0;
    std::uint32_t events = 0;
    std::uint32_t requested_units = 0;
    lease_origin from{};
    lease_settlement settlement{};
  };
  struct answered {
    std::int64_t asked_ns = 0;
    bool wanted = false;
    verdict told;
    lease_answer lease;
    std::uint64_t token = 0;
  };

  /// What that holder asks after a spend() that gave nothing.
  message ask(std::size_t holder, std::uint32_t events = 1) {
    lease_cache& cache = holders[holder];
    const auto terms = terms_of(*ledger.rules_of(plan_id("p")), all_limits);
    message out{
        now, events, cache.units_to_request(key, terms, now), {holder + 1, ++last_token}, {}};
    if (out.requested_units != 0) out.settlement = cache.settlement(key);
    return out;
  }
  void take(std::size_t holder, const answered& got) {
    (void)holders[holder].take(key, 3, got.told, got.lease, got.asked_ns, now);
  }

  // The owner decides a question; what it grants counts as admitted at once, as the holder that
  // hears of it can only be later in the same window, or lose it.
  answered decide(const message& what) {
    const auto item = lease_item(what.events);
    const auto at = ledger.locate(item, now);
    if (what.requested_units != 0)
      (void)granter.settle(key, what.from.holder, what.settlement, now);
    const auto decided = ledger.decide(at, item, {}, now);
    admit(decided.answer.granted);
    answered out{what.asked_ns, what.requested_units != 0, decided.answer, {}, what.from.token};
    if (what.requested_units != 0)
      out.lease = granter.answer(at, item, decided, what.requested_units, what.from, now);
    return out;
  }
  void admit(std::uint32_t units) {
    for (std::uint32_t i = 0; i < units; ++i)
      admitted.push_back(now);
  }
  // The most that was admitted in any interval of that length, both ends included.
  std::size_t most_within(std::int64_t length_ns) const {
    std::size_t most = 0, first = 0;
    for (std::size_t i = 0; i < admitted.size(); ++i) {
      while (admitted[i] - admitted[first] > length_ns)
        ++first;
      most = std::max(most, i - first + 1);
    }
    return most;
  }
  std::size_t admitted_since(std::int64_t from) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(admitted, [&](auto at) { return at >= from; }));
  }

  limit_ledger ledger;
  lease_granter granter;
  lease_key key;
  lease_cache holders[2] = {lease_cache{10}, lease_cache{10}};
  std::int64_t now = lease_epoch;
  std::vector<std::int64_t> admitted;
  std::uint64_t last_token = 0;
};

} // namespace penstock
