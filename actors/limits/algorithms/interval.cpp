// At most one event in an interval.
//
// State: at = when the next request may come.
#include "actors/limits/algorithms/arithmetic.hpp"

namespace penstock {
namespace {

using namespace limit_arithmetic;

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

std::uint32_t available_interval(const limit&, const limit_state& state, std::int64_t now_ns) {
  return state.at <= now_ns ? 1 : 0;
}

limit_state charge_interval(const limit& rule, const limit_state&, std::int64_t now_ns,
                            std::uint32_t units) {
  PENSTOCK_ASSERT(units == 1);
  return {now_ns + spacing(rule), 0, 0};
}

std::int64_t wait_interval(const limit& rule, const limit_state& state, std::int64_t now_ns,
                           std::uint32_t units) {
  const limit_view view = view_interval(rule, state, now_ns);
  if (units <= view.available) return 0;
  return units > 1 ? never : view.retry_ns;
}

bool is_idle_interval(const limit&, const limit_state& state, std::int64_t now_ns) {
  return state.at <= now_ns;
}

limit_state carry_interval(const limit&, const limit& after, const limit_state& state,
                           std::int64_t now_ns) {
  return {std::min(state.at, now_ns + spacing(after)), 0, 0};
}

// -- leases: there are none -----------------------------------------------------------------------

std::int64_t window_left_interval(const limit&, const limit_state&, std::int64_t) {
  return 0;
}

limit_state settle_interval(const limit&, const limit_state& state, std::int64_t, std::int64_t,
                            std::uint32_t, std::uint32_t) {
  return state;
}

// -- words ----------------------------------------------------------------------------------------

std::string check_interval(const limit_draft& draft) {
  if (draft.cost == limit_cost::byte)
    return "an interval lies between events and counts no bytes; leave cost out, or take "
           "algorithm = \"gcra\"";
  if (draft.amount.units > 1)
    return "an interval admits one event per window; leave amount out or write amount = 1";
  return {};
}

} // namespace

const limit_algorithm interval_algorithm{
    .name = "interval",
    .summary = "at most one per window",
    .takes_amount = false,
    .is_leasable = false,
    .check_units = check_interval,
    .check_numbers = nothing_wrong,
    .window_text = duration_text,
    .nominal_window_ns = duration_ns,
    .look = view_interval,
    .available = available_interval,
    .charge = charge_interval,
    .wait_ns = wait_interval,
    .is_idle = is_idle_interval,
    .carry_over = carry_interval,
    .units_at_once = whole_amount,
    .window_at_once_ns = window_of,
    .set_aside = charge_interval,
    .window_left_ns = window_left_interval,
    .lease_mark = start_of_window,
    .settle = settle_interval,
    .fold = nothing_to_fold,
    .unfold = nothing_to_unfold,
    .to_row = same_row,
};

} // namespace penstock
