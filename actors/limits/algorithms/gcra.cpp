// The generic cell rate algorithm: a steady rate, and a burst.
//
// State: at + used / amount = theoretical arrival time (TAT, ns), exactly; previous = units set
// aside in leases, which are charged when it is known what was spent.
//
// The TAT is kept exactly, since a window that the amount does not divide would otherwise drift by
// up to a nanosecond a request. Calculations are in units of 1/amount ns, in which a request costs
// exactly one window.
//
// Why units set aside admit no more than deciding each unit when it is spent would: let T be a
// unit's time and R the units reserved, of which `out` may still be spent. What is promised is
//   max(TAT, now) + R T >= max(TAT of what was really spent, now) + out T, and R >= out.
// To spend a unit leaves both sides as they are. Time raises the right side no more than the left:
// the left stands still only while TAT >= now, and then it is at least now + R T. To settle s units
// that were spent and u that were not takes u T from both. A unit is admitted, or set aside, only
// if the left side stays within now + burst; so what was really spent does, too.
#include "actors/base/units.hpp"
#include "actors/limits/algorithms/arithmetic.hpp"

#include <fmt/format.h>

#include <chrono>
#include <limits>

namespace penstock {
namespace {

using namespace limit_arithmetic;

struct gcra_view {
  wide capacity; // burst * window
  wide charged;  // (TAT - now), from 0 to capacity
  wide debt;     // that and what is reserved, up to the capacity
  std::uint32_t available;
};

gcra_view look_gcra(const limit& rule, const limit_state& state, std::int64_t now_ns) {
  const wide amount = amount_of(rule);
  const auto window = static_cast<std::uint64_t>(window_of(rule));
  // The TAT must stay representable, so a burst is worth at most max_window_ns.
  wide capacity = static_cast<wide>(window) * (rule.burst != 0 ? rule.burst : amount_of(rule));
  const wide longest = amount * static_cast<wide>(max_window_ns);
  if (capacity > longest) capacity = longest / window * window;

  wide charged = 0;
  if (state.at >= now_ns)
    charged =
        static_cast<wide>(state.at - now_ns) * amount + std::min(state.used, amount_of(rule) - 1);
  // Only a changed plan can leave more debt than a full burst.
  charged = std::min(charged, capacity);
  const wide debt = std::min(charged + static_cast<wide>(state.previous) * window, capacity);
  return {capacity, charged, debt, static_cast<std::uint32_t>(divide(capacity - debt, window))};
}

// The state that owes `charged`, which is at most the capacity, beside what is reserved.
limit_state gcra_state(const limit& rule, std::int64_t now_ns, wide charged,
                       std::uint32_t reserved = 0) {
  const std::uint32_t amount = amount_of(rule);
  const wide whole = divide(charged, amount);
  PENSTOCK_ASSERT(whole <= static_cast<wide>(INT64_MAX - now_ns));
  return {now_ns + static_cast<std::int64_t>(whole),
          static_cast<std::uint32_t>(charged - whole * amount), reserved};
}

limit_view view_gcra(const limit& rule, const limit_state& state, std::int64_t now_ns) {
  const auto [capacity, charged, debt, available] = look_gcra(rule, state, now_ns);
  if (debt == 0) return {available, 0, 0};
  const std::uint32_t amount = amount_of(rule);
  const wide next = (static_cast<wide>(available) + 1) * static_cast<wide>(window_of(rule));
  const auto round_up = [amount](wide units) {
    return static_cast<std::int64_t>(divide(units + amount - 1, amount));
  };
  return {available, round_up(next + debt - capacity), round_up(debt)};
}

std::uint32_t available_gcra(const limit& rule, const limit_state& state, std::int64_t now_ns) {
  return look_gcra(rule, state, now_ns).available;
}

limit_state charge_gcra(const limit& rule, const limit_state& state, std::int64_t now_ns,
                        std::uint32_t units) {
  const gcra_view at = look_gcra(rule, state, now_ns);
  const wide backlog = at.charged + static_cast<wide>(units) * static_cast<wide>(window_of(rule));
  return gcra_state(rule, now_ns, std::min(backlog, at.capacity), state.previous);
}

std::int64_t wait_gcra(const limit& rule, const limit_state& state, std::int64_t now_ns,
                       std::uint32_t units) {
  const auto [capacity, charged, debt, available] = look_gcra(rule, state, now_ns);
  if (units <= available) return 0;
  const wide cost = static_cast<wide>(units) * static_cast<wide>(window_of(rule));
  if (cost > capacity) return never;
  const std::uint32_t amount = amount_of(rule);
  return static_cast<std::int64_t>(divide(cost + debt - capacity + amount - 1, amount));
}

bool is_idle_gcra(const limit&, const limit_state& state, std::int64_t now_ns) {
  return state.previous == 0 && (state.at < now_ns || (state.at == now_ns && state.used == 0));
}

// -- leases ---------------------------------------------------------------------------------------

std::uint32_t units_at_once_gcra(const limit& rule) {
  return rule.burst != 0 ? std::min(rule.burst, rule.amount) : rule.amount;
}

std::int64_t window_at_once_gcra(const limit& rule) {
  const std::int64_t window = window_of(rule);
  if (rule.burst == 0 || rule.burst >= rule.amount) return window;
  return window / amount_of(rule) * rule.burst;
}

// Units are reserved, beside the TAT, and charged when the lease is settled, as of then.
limit_state set_aside_gcra(const limit&, const limit_state& state, std::int64_t,
                           std::uint32_t units) {
  PENSTOCK_ASSERT(units <= UINT32_MAX - state.previous);
  limit_state after = state;
  after.previous += units;
  return after;
}

std::int64_t window_left_gcra(const limit&, const limit_state&, std::int64_t) {
  return never;
}

std::int64_t mark_gcra(const limit_state&) {
  return 0;
}

limit_state settle_gcra(const limit& rule, const limit_state& state, std::int64_t now_ns,
                        std::int64_t, std::uint32_t leased, std::uint32_t unspent) {
  const std::uint32_t reserved = std::min(leased, state.previous);
  const std::uint32_t spent = reserved - std::min(unspent, reserved);
  limit_state after = state;
  after.previous -= reserved;
  return spent == 0 ? after : charge_gcra(rule, after, now_ns, spent);
}

limit_state fold_gcra(const limit& rule, const limit_state& state, std::int64_t now_ns) {
  if (state.previous == 0) return state;
  const std::int64_t end_ns = now_ns + lease_lifetime_ns(rule);
  limit_state owing = state.at >= end_ns ? state : limit_state{end_ns, 0, 0};
  owing.previous = 0;
  return charge_gcra(rule, owing, now_ns, state.previous);
}

limit_state unfold_gcra(const limit& rule, const limit_state& state, std::uint32_t units) {
  const wide taken = static_cast<wide>(units) * static_cast<wide>(window_of(rule));
  const wide backlog = static_cast<wide>(std::max<std::int64_t>(state.at, 0)) * amount_of(rule) +
                       std::min(state.used, amount_of(rule) - 1);
  // What a peer says of its leases may be any number.
  const std::uint32_t reserved = state.previous + std::min(units, UINT32_MAX - state.previous);
  return gcra_state(rule, 0, backlog - std::min(backlog, taken), reserved);
}

// -- other rules ----------------------------------------------------------------------------------

// The same units used of another rule's: a unit is one window of debt, and its fraction likewise.
limit_state carry_gcra(const limit& before, const limit& after, const limit_state& state,
                       std::int64_t now_ns) {
  const wide debt = look_gcra(before, fold_gcra(before, state, now_ns), now_ns).debt;
  const auto old_window = static_cast<std::uint64_t>(window_of(before));
  const auto new_window = static_cast<wide>(window_of(after));
  const wide units = divide(debt, old_window);
  const wide rest = (debt - units * old_window) * new_window;
  const wide backlog = units * new_window + divide(rest + old_window - 1, old_window);
  return gcra_state(after, now_ns, std::min(backlog, look_gcra(after, {}, now_ns).capacity));
}

// The fraction of a nanosecond is one of the amount, which may be another by then.
limit_state row_of_gcra(const limit_state& folded) {
  return folded.used == 0 ? folded : limit_state{folded.at + 1, 0, 0};
}

// -- words ----------------------------------------------------------------------------------------

// It counts in nanoseconds: one event's share of the window must be at least one, and a whole
// burst's must be far from the end of 64 bits.
std::string check_gcra(const limit_draft& draft) {
  const std::int64_t window_ns = std::chrono::nanoseconds{*parse_duration(draft.window)}.count();
  const auto amount = static_cast<std::int64_t>(draft.amount.units);
  const auto burst = static_cast<std::int64_t>(draft.burst.units);
  if (amount > window_ns)
    return fmt::format("amount = {} in {} is more than one {} a nanosecond; take a longer window",
                       written(draft.amount), draft.window,
                       draft.cost == limit_cost::byte ? "byte" : "event");
  constexpr std::int64_t max_full_ns = std::numeric_limits<std::int64_t>::max() / 8;
  const std::int64_t interval_ns = window_ns / amount + 1;
  if (burst > max_full_ns / interval_ns)
    return fmt::format("burst = {} would take more than 36 years to come back; take a smaller one",
                       written(draft.burst));
  return {};
}

} // namespace

const limit_algorithm gcra_algorithm{
    .name = "gcra",
    .summary = "a steady rate and a burst",
    .takes_burst = true,
    .check_units = check_amount,
    .check_numbers = check_gcra,
    .window_text = duration_text,
    .nominal_window_ns = duration_ns,
    .look = view_gcra,
    .available = available_gcra,
    .charge = charge_gcra,
    .wait_ns = wait_gcra,
    .is_idle = is_idle_gcra,
    .carry_over = carry_gcra,
    .units_at_once = units_at_once_gcra,
    .window_at_once_ns = window_at_once_gcra,
    .set_aside = set_aside_gcra,
    .window_left_ns = window_left_gcra,
    .lease_mark = mark_gcra,
    .settle = settle_gcra,
    .fold = fold_gcra,
    .unfold = unfold_gcra,
    .to_row = row_of_gcra,
};

} // namespace penstock
