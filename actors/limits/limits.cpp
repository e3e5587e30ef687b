#include "actors/limits/limits.hpp"

#include <algorithm>
#include <chrono>

namespace penstock {
namespace {

// Products of an amount (32 bits) and a time (63 bits) need 95 bits.
__extension__ using wide = unsigned __int128;

// Most products fit 64 bits after all, and then dividing takes a fraction of the time.
wide divide(wide dividend, std::uint64_t divisor) {
  const auto low = static_cast<std::uint64_t>(dividend);
  return low == dividend ? low / divisor : dividend / divisor;
}

// A rule's numbers, made safe to calculate with: no zero divisor, and no sum with a time that
// overflows. The configuration rejects such values with a message; this is the last line.
std::uint32_t amount_of(const limit& rule) {
  return std::max(rule.amount, 1u);
}

std::int64_t window_of(const limit& rule) {
  return std::clamp<std::int64_t>(rule.window_ns, 1, max_window_ns);
}

// -- gcra -----------------------------------------------------------------------------------------
//
// The theoretical arrival time (TAT) is kept exactly, as at + used / amount nanoseconds: a window
// that the amount does not divide would otherwise drift by up to a nanosecond a request. What
// follows is in units of 1/amount ns, in which a request costs exactly one window.

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

limit_state charge_gcra(const limit& rule, const limit_state& state, std::int64_t now_ns,
                        std::uint32_t units) {
  const gcra_view at = look_gcra(rule, state, now_ns);
  const wide owed = at.charged + static_cast<wide>(units) * static_cast<wide>(window_of(rule));
  return gcra_state(rule, now_ns, std::min(owed, at.capacity), state.previous);
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

// The same units used of another rule's: a unit is one window of debt, and its fraction likewise.
limit_state carry_gcra(const limit& before, const limit& after, const limit_state& state,
                       std::int64_t now_ns) {
  const wide debt = look_gcra(before, fold(before, state, now_ns), now_ns).debt;
  const auto old_window = static_cast<std::uint64_t>(window_of(before));
  const auto new_window = static_cast<wide>(window_of(after));
  const wide units = divide(debt, old_window);
  const wide rest = (debt - units * old_window) * new_window;
  const wide owed = units * new_window + divide(rest + old_window - 1, old_window);
  return gcra_state(after, now_ns, std::min(owed, look_gcra(after, {}, now_ns).capacity));
}

// -- fixed window and calendar: a start, and what was spent since ---------------------------------

limit_view view_counter(const limit& rule, std::uint32_t used, std::int64_t left_ns) {
  const std::uint32_t amount = amount_of(rule);
  if (used == 0) return {amount, 0, 0};
  return {amount - std::min(used, amount), left_ns, left_ns};
}

std::uint32_t used_in_fixed_window(const limit& rule, const limit_state& state,
                                   std::int64_t now_ns) {
  return now_ns - state.at >= window_of(rule) ? 0 : state.used;
}

std::uint32_t used_in_calendar(const limit& rule, const limit_state& state, std::int64_t now_ns) {
  if (state.used == 0) return 0;
  return state.at < calendar_start(rule.unit, now_ns) ? 0 : state.used;
}

// -- sliding window -------------------------------------------------------------------------------

// The state moved on to the aligned window that holds `now`.
limit_state roll(const limit& rule, const limit_state& state, std::int64_t now_ns) {
  const std::int64_t window = window_of(rule);
  const std::int64_t start = now_ns - now_ns % window;
  const std::int64_t age = start - state.at;
  if (age <= 0) return state;
  if (age <= window) return {start, 0, state.used};
  return {start, 0, 0};
}

// From now until `wanted` units would be admitted. The estimate falls steadily: first as the
// previous window's weight goes to nothing, then, one window on, as the present one's does.
std::int64_t sliding_wait(const limit& rule, const limit_state& rolled, std::int64_t elapsed,
                          std::uint32_t wanted) {
  const std::int64_t window = window_of(rule);
  const std::int64_t room = static_cast<std::int64_t>(amount_of(rule)) - wanted;
  // The shortest rest of a window in which `spent` weighs at most `allowed`.
  const auto rest = [window](std::int64_t allowed, std::uint32_t spent) {
    return static_cast<std::int64_t>(std::min(
        static_cast<wide>(window), static_cast<wide>(allowed) * static_cast<wide>(window) / spent));
  };
  if (room >= rolled.used) {
    if (rolled.previous == 0) return 0;
    return window - rest(room - rolled.used, rolled.previous) - elapsed;
  }
  return (window - elapsed) + (window - rest(room, rolled.used));
}

std::int64_t elapsed_in(const limit_state& rolled, std::int64_t now_ns) {
  return std::max<std::int64_t>(now_ns - rolled.at, 0);
}

std::uint32_t available_sliding(const limit& rule, const limit_state& rolled, std::int64_t now_ns) {
  const std::int64_t window = window_of(rule);
  const std::uint32_t amount = amount_of(rule);
  std::uint64_t estimate = rolled.used;
  if (rolled.previous != 0) {
    const auto left = static_cast<wide>(window - elapsed_in(rolled, now_ns));
    estimate +=
        static_cast<std::uint64_t>(divide(rolled.previous * left + static_cast<wide>(window) - 1,
                                          static_cast<std::uint64_t>(window)));
  }
  return static_cast<std::uint32_t>(amount - std::min<std::uint64_t>(estimate, amount));
}

limit_view view_sliding(const limit& rule, const limit_state& state, std::int64_t now_ns) {
  const limit_state rolled = roll(rule, state, now_ns);
  if (rolled.used == 0 && rolled.previous == 0) return {amount_of(rule), 0, 0};
  const std::int64_t elapsed = elapsed_in(rolled, now_ns);
  const std::uint32_t available = available_sliding(rule, rolled, now_ns);
  const std::uint32_t amount = amount_of(rule);
  return {available, sliding_wait(rule, rolled, elapsed, available + 1),
          sliding_wait(rule, rolled, elapsed, amount)};
}

// -- interval -------------------------------------------------------------------------------------

std::int64_t spacing(const limit& rule) {
  const std::int64_t amount = amount_of(rule);
  const std::int64_t window = window_of(rule);
  return window / amount + (window % amount != 0);
}

limit_view view_interval(const limit& rule, const limit_state& state, std::int64_t now_ns) {
  if (state.at <= now_ns) return {1, 0, 0};
  const std::int64_t wait = std::min(state.at - now_ns, spacing(rule));
  return {0, wait, wait};
}

// -- calendar -------------------------------------------------------------------------------------

using time_point = std::chrono::sys_time<std::chrono::nanoseconds>;

time_point to_time(std::int64_t ns) {
  return time_point{std::chrono::nanoseconds{ns}};
}

std::int64_t to_ns(time_point time) {
  return time.time_since_epoch().count();
}

} // namespace

std::int64_t calendar_start(calendar_unit unit, std::int64_t now_ns) {
  using namespace std::chrono;
  const time_point now = to_time(now_ns);
  if (unit == calendar_unit::hour) return to_ns(floor<hours>(now));
  if (unit == calendar_unit::day) return to_ns(floor<days>(now));
  const year_month_day today{floor<days>(now)};
  return to_ns(sys_days{today.year() / today.month() / 1});
}

std::int64_t calendar_next(calendar_unit unit, std::int64_t now_ns) {
  using namespace std::chrono;
  const time_point start = to_time(calendar_start(unit, now_ns));
  if (unit == calendar_unit::hour) return to_ns(start + hours{1});
  if (unit == calendar_unit::day) return to_ns(start + days{1});
  const year_month_day first{floor<days>(start)};
  return to_ns(sys_days{first.year() / first.month() / 1 + months{1}});
}

std::uint32_t available_units(const limit& rule, const limit_state& state, std::int64_t now_ns) {
  const auto left_of = [&rule](std::uint32_t used) {
    return amount_of(rule) - std::min(used, amount_of(rule));
  };
  switch (rule.kind) {
  case algorithm::gcra:
    return look_gcra(rule, state, now_ns).available;
  case algorithm::fixed_window:
    return left_of(used_in_fixed_window(rule, state, now_ns));
  case algorithm::sliding_window:
    return available_sliding(rule, roll(rule, state, now_ns), now_ns);
  case algorithm::interval:
    return state.at <= now_ns ? 1 : 0;
  case algorithm::calendar:
    return left_of(used_in_calendar(rule, state, now_ns));
  }
  return 0;
}

limit_view look(const limit& rule, const limit_state& state, std::int64_t now_ns) {
  switch (rule.kind) {
  case algorithm::gcra:
    return view_gcra(rule, state, now_ns);
  case algorithm::fixed_window:
    return view_counter(rule, used_in_fixed_window(rule, state, now_ns),
                        state.at + window_of(rule) - now_ns);
  case algorithm::sliding_window:
    return view_sliding(rule, state, now_ns);
  case algorithm::interval:
    return view_interval(rule, state, now_ns);
  case algorithm::calendar: {
    const std::uint32_t used = used_in_calendar(rule, state, now_ns);
    return view_counter(rule, used, used == 0 ? 0 : calendar_next(rule.unit, now_ns) - now_ns);
  }
  }
  return {};
}

limit_state charge(const limit& rule, const limit_state& state, std::int64_t now_ns,
                   std::uint32_t units) {
  if (units == 0) return state;
  switch (rule.kind) {
  case algorithm::gcra:
    return charge_gcra(rule, state, now_ns, units);
  case algorithm::fixed_window: {
    const std::uint32_t used = used_in_fixed_window(rule, state, now_ns);
    return {used == 0 ? now_ns : state.at, used + units, 0};
  }
  case algorithm::sliding_window: {
    limit_state rolled = roll(rule, state, now_ns);
    rolled.used += units;
    return rolled;
  }
  case algorithm::interval:
    return {now_ns + spacing(rule), 0, 0};
  case algorithm::calendar: {
    const std::int64_t start = calendar_start(rule.unit, now_ns);
    return {start, (state.at < start ? 0 : state.used) + units, 0};
  }
  }
  return state;
}

std::int64_t wait_ns(const limit& rule, const limit_state& state, std::int64_t now_ns,
                     std::uint32_t units) {
  if (rule.kind == algorithm::gcra) return wait_gcra(rule, state, now_ns, units);
  const limit_view view = look(rule, state, now_ns);
  if (units <= view.available) return 0;
  switch (rule.kind) {
  case algorithm::sliding_window: {
    if (units > amount_of(rule)) return never;
    const limit_state rolled = roll(rule, state, now_ns);
    return sliding_wait(rule, rolled, elapsed_in(rolled, now_ns), units);
  }
  case algorithm::interval:
    return units > 1 ? never : view.retry_ns;
  default:
    return units > amount_of(rule) ? never : view.reset_ns;
  }
}

limit_state carry_over(const limit& before, const limit& after, const limit_state& state,
                       std::int64_t now_ns) {
  if (is_idle(before, state, now_ns)) return {};
  switch (after.kind) {
  case algorithm::gcra:
    return carry_gcra(before, after, state, now_ns);
  case algorithm::sliding_window: {
    if (window_of(before) == window_of(after)) return state;
    // What the old windows count for now has been spent in the new one.
    const std::uint32_t spent = amount_of(before) - available_units(before, state, now_ns);
    const std::int64_t window = window_of(after);
    return {now_ns - now_ns % window, spent, 0};
  }
  case algorithm::interval:
    return {std::min(state.at, now_ns + spacing(after)), 0, 0};
  case algorithm::fixed_window:
  case algorithm::calendar:
    return state;
  }
  return state;
}

// -- leases ---------------------------------------------------------------------------------------

namespace {

constexpr std::int64_t leased_window_part = 15;

// In how long a client gets anew what it can have at once.
std::int64_t window_at_once(const limit& rule) {
  if (rule.kind == algorithm::calendar) return max_window_ns;
  const std::int64_t window = window_of(rule);
  if (rule.kind != algorithm::gcra || rule.burst == 0 || rule.burst >= rule.amount) return window;
  return window / amount_of(rule) * rule.burst;
}

} // namespace

std::int64_t lease_lifetime_ns(const limit& rule) {
  return std::clamp(window_at_once(rule) / leased_window_part, min_lease_lifetime_ns,
                    max_lease_lifetime_ns);
}

limit_state set_aside(const limit& rule, const limit_state& state, std::int64_t now_ns,
                      std::uint32_t units) {
  if (rule.kind != algorithm::gcra) return charge(rule, state, now_ns, units);
  limit_state after = state;
  after.previous += units;
  return after;
}

std::int64_t window_left_ns(const limit& rule, const limit_state& state, std::int64_t now_ns) {
  switch (rule.kind) {
  case algorithm::gcra:
    return never;
  case algorithm::fixed_window:
    if (used_in_fixed_window(rule, state, now_ns) == 0) return window_of(rule);
    return state.at + window_of(rule) - now_ns;
  case algorithm::sliding_window:
    return window_of(rule) - now_ns % window_of(rule);
  case algorithm::interval:
    return 0;
  case algorithm::calendar:
    return calendar_next(rule.unit, now_ns) - now_ns;
  }
  return 0;
}

std::int64_t lease_mark(const limit& rule, const limit_state& charged) {
  return rule.kind == algorithm::gcra ? 0 : charged.at;
}

limit_state settle(const limit& rule, const limit_state& state, std::int64_t now_ns,
                   std::int64_t mark, std::uint32_t leased, std::uint32_t unspent) {
  limit_state after = state;
  switch (rule.kind) {
  case algorithm::gcra: {
    const std::uint32_t reserved = std::min(leased, state.previous);
    after.previous -= reserved;
    return charge(rule, after, now_ns, reserved - std::min(unspent, reserved));
  }
  case algorithm::sliding_window:
    if (state.at == mark) after.used -= std::min(after.used, unspent);
    if (state.at == mark + window_of(rule)) after.previous -= std::min(after.previous, unspent);
    return after;
  case algorithm::fixed_window:
  case algorithm::calendar:
    if (state.at == mark) after.used -= std::min(after.used, unspent);
    return after;
  case algorithm::interval:
    return state;
  }
  return state;
}

limit_state fold(const limit& rule, const limit_state& state, std::int64_t now_ns) {
  if (rule.kind != algorithm::gcra || state.previous == 0) return state;
  const std::int64_t end_ns = now_ns + lease_lifetime_ns(rule);
  limit_state owing = state.at >= end_ns ? state : limit_state{end_ns, 0, 0};
  owing.previous = 0;
  return charge(rule, owing, now_ns, state.previous);
}

limit_state unfold(const limit& rule, const limit_state& state, std::uint32_t units) {
  if (rule.kind != algorithm::gcra) return state;
  const wide taken = static_cast<wide>(units) * static_cast<wide>(window_of(rule));
  const wide owed = static_cast<wide>(std::max<std::int64_t>(state.at, 0)) * amount_of(rule) +
                    std::min(state.used, amount_of(rule) - 1);
  return gcra_state(rule, 0, owed - std::min(owed, taken), state.previous + units);
}

bool is_idle(const limit& rule, const limit_state& state, std::int64_t now_ns) {
  switch (rule.kind) {
  case algorithm::gcra:
    return state.previous == 0 && (state.at < now_ns || (state.at == now_ns && state.used == 0));
  case algorithm::fixed_window:
    return used_in_fixed_window(rule, state, now_ns) == 0;
  case algorithm::sliding_window: {
    const limit_state rolled = roll(rule, state, now_ns);
    return rolled.used == 0 && rolled.previous == 0;
  }
  case algorithm::interval:
    return state.at <= now_ns;
  case algorithm::calendar:
    return used_in_calendar(rule, state, now_ns) == 0;
  }
  return false;
}

} // namespace penstock
