// A window that a client's first request opens.
//
// State: at = start of the window; used = units spent in it.
#include "actors/limits/algorithms/arithmetic.hpp"

namespace penstock {
namespace {

using namespace limit_arithmetic;

std::uint32_t used_in_fixed_window(const limit& rule, const limit_state& state,
                                   std::int64_t now_ns) {
  return now_ns - state.at >= window_of(rule) ? 0 : state.used;
}

limit_view view_fixed_window(const limit& rule, const limit_state& state, std::int64_t now_ns) {
  return view_counter(rule, used_in_fixed_window(rule, state, now_ns),
                      state.at + window_of(rule) - now_ns);
}

std::uint32_t available_fixed_window(const limit& rule, const limit_state& state,
                                     std::int64_t now_ns) {
  return left_of(rule, used_in_fixed_window(rule, state, now_ns));
}

limit_state charge_fixed_window(const limit& rule, const limit_state& state, std::int64_t now_ns,
                                std::uint32_t units) {
  const std::uint32_t used = used_in_fixed_window(rule, state, now_ns);
  PENSTOCK_ASSERT(units <= UINT32_MAX - used);
  return {used == 0 ? now_ns : state.at, used + units, 0};
}

std::int64_t wait_fixed_window(const limit& rule, const limit_state& state, std::int64_t now_ns,
                               std::uint32_t units) {
  return wait_for_counter(rule, view_fixed_window(rule, state, now_ns), units);
}

bool is_idle_fixed_window(const limit& rule, const limit_state& state, std::int64_t now_ns) {
  return used_in_fixed_window(rule, state, now_ns) == 0;
}

limit_state carry_fixed_window(const limit&, const limit&, const limit_state& state,
                               std::int64_t now_ns) {
  return begun(state, now_ns, now_ns);
}

std::int64_t window_left_fixed(const limit& rule, const limit_state& state, std::int64_t now_ns) {
  if (used_in_fixed_window(rule, state, now_ns) == 0) return window_of(rule);
  return state.at + window_of(rule) - now_ns;
}

} // namespace

const limit_algorithm fixed_window_algorithm{
    .name = "fixed_window",
    .summary = "a window opened by the first request",
    .check_units = check_amount,
    .check_numbers = nothing_wrong,
    .window_text = duration_text,
    .nominal_window_ns = duration_ns,
    .look = view_fixed_window,
    .available = available_fixed_window,
    .charge = charge_fixed_window,
    .wait_ns = wait_fixed_window,
    .is_idle = is_idle_fixed_window,
    .carry_over = carry_fixed_window,
    .units_at_once = whole_amount,
    .window_at_once_ns = window_of,
    .set_aside = charge_fixed_window,
    .window_left_ns = window_left_fixed,
    .lease_mark = start_of_window,
    .settle = settle_counter,
    .fold = nothing_to_fold,
    .unfold = nothing_to_unfold,
    .to_row = same_row,
};

} // namespace penstock
