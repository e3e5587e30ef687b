// Windows that are aligned to their length, of which the one before weighs in.
//
// State: at = start of the current window; used, previous = units spent in it and in the one
// before.
#include "actors/limits/algorithms/arithmetic.hpp"

namespace penstock {
namespace {

using namespace limit_arithmetic;

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
std::int64_t wait_in_rolled(const limit& rule, const limit_state& rolled, std::int64_t elapsed,
                            std::uint32_t wanted) {
  const std::int64_t window = window_of(rule);
  PENSTOCK_ASSERT(wanted <= amount_of(rule));
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

std::uint32_t available_in_rolled(const limit& rule, const limit_state& rolled,
                                  std::int64_t now_ns) {
  const std::int64_t window = window_of(rule);
  const std::uint32_t amount = amount_of(rule);
  std::uint64_t estimate = rolled.used;
  if (rolled.previous != 0) {
    const std::int64_t elapsed = elapsed_in(rolled, now_ns);
    PENSTOCK_ASSERT(elapsed < window);
    const auto left = static_cast<wide>(window - elapsed);
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
  const std::uint32_t available = available_in_rolled(rule, rolled, now_ns);
  const std::uint32_t amount = amount_of(rule);
  return {available, wait_in_rolled(rule, rolled, elapsed, available + 1),
          wait_in_rolled(rule, rolled, elapsed, amount)};
}

std::uint32_t available_sliding(const limit& rule, const limit_state& state, std::int64_t now_ns) {
  return available_in_rolled(rule, roll(rule, state, now_ns), now_ns);
}

limit_state charge_sliding(const limit& rule, const limit_state& state, std::int64_t now_ns,
                           std::uint32_t units) {
  limit_state rolled = roll(rule, state, now_ns);
  PENSTOCK_ASSERT(units <= UINT32_MAX - rolled.used);
  rolled.used += units;
  return rolled;
}

std::int64_t wait_sliding(const limit& rule, const limit_state& state, std::int64_t now_ns,
                          std::uint32_t units) {
  const limit_state rolled = roll(rule, state, now_ns);
  if (units <= available_in_rolled(rule, rolled, now_ns)) return 0;
  if (units > amount_of(rule)) return never;
  return wait_in_rolled(rule, rolled, elapsed_in(rolled, now_ns), units);
}

bool is_idle_sliding(const limit& rule, const limit_state& state, std::int64_t now_ns) {
  const limit_state rolled = roll(rule, state, now_ns);
  return rolled.used == 0 && rolled.previous == 0;
}

limit_state carry_sliding(const limit& before, const limit& after, const limit_state& state,
                          std::int64_t now_ns) {
  const std::int64_t window = window_of(after);
  if (window_of(before) == window) return begun(state, now_ns - now_ns % window, now_ns);
  // What the old windows count for now has been spent in the new one.
  const std::uint32_t available = available_sliding(before, state, now_ns);
  PENSTOCK_ASSERT(available <= amount_of(before));
  return {now_ns - now_ns % window, amount_of(before) - available, 0};
}

std::int64_t window_left_sliding(const limit& rule, const limit_state&, std::int64_t now_ns) {
  return window_of(rule) - now_ns % window_of(rule);
}

limit_state settle_sliding(const limit& rule, const limit_state& state, std::int64_t,
                           std::int64_t mark, std::uint32_t, std::uint32_t unspent) {
  limit_state after = state;
  if (state.at == mark) after.used -= std::min(after.used, unspent);
  // The mark may be any number, if a peer told it; the state's time may not.
  if (state.at - window_of(rule) == mark) after.previous -= std::min(after.previous, unspent);
  return after;
}

} // namespace

const limit_algorithm sliding_window_algorithm{
    .name = "sliding_window",
    .summary = "the previous window weighs in",
    .check_units = check_amount,
    .check_numbers = nothing_wrong,
    .window_text = duration_text,
    .nominal_window_ns = duration_ns,
    .look = view_sliding,
    .available = available_sliding,
    .charge = charge_sliding,
    .wait_ns = wait_sliding,
    .is_idle = is_idle_sliding,
    .carry_over = carry_sliding,
    .units_at_once = whole_amount,
    .window_at_once_ns = window_of,
    .set_aside = charge_sliding,
    .window_left_ns = window_left_sliding,
    .lease_mark = start_of_window,
    .settle = settle_sliding,
    .fold = nothing_to_fold,
    .unfold = nothing_to_unfold,
    .to_row = same_row,
};

} // namespace penstock
