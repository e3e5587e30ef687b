// An hour, a day or a month, UTC.
//
// State: at = its start; used = units spent in it.
#include "actors/limits/algorithms/calendar.hpp"

#include "actors/limits/algorithms/arithmetic.hpp"

#include <chrono>

namespace penstock {
namespace {

using namespace limit_arithmetic;

using calendar_time = std::chrono::sys_time<std::chrono::nanoseconds>;

calendar_time to_calendar_time(std::int64_t ns) {
  return calendar_time{std::chrono::nanoseconds{ns}};
}

std::int64_t since_epoch_ns(calendar_time time) {
  return time.time_since_epoch().count();
}

} // namespace

std::int64_t calendar_start(calendar_unit unit, std::int64_t now_ns) {
  using namespace std::chrono;
  const calendar_time now = to_calendar_time(now_ns);
  if (unit == calendar_unit::hour) return since_epoch_ns(floor<hours>(now));
  if (unit == calendar_unit::day) return since_epoch_ns(floor<days>(now));
  const year_month_day today{floor<days>(now)};
  return since_epoch_ns(sys_days{today.year() / today.month() / 1});
}

std::int64_t calendar_next(calendar_unit unit, std::int64_t now_ns) {
  using namespace std::chrono;
  const calendar_time start = to_calendar_time(calendar_start(unit, now_ns));
  if (unit == calendar_unit::hour) return since_epoch_ns(start + hours{1});
  if (unit == calendar_unit::day) return since_epoch_ns(start + days{1});
  const year_month_day first{floor<days>(start)};
  return since_epoch_ns(sys_days{first.year() / first.month() / 1 + months{1}});
}

namespace {

std::uint32_t used_in_calendar(const limit& rule, const limit_state& state, std::int64_t now_ns) {
  if (state.used == 0) return 0;
  return state.at < calendar_start(rule.unit, now_ns) ? 0 : state.used;
}

std::int64_t left_in_calendar(const limit& rule, const limit_state&, std::int64_t now_ns) {
  return calendar_next(rule.unit, now_ns) - now_ns;
}

limit_view view_calendar(const limit& rule, const limit_state& state, std::int64_t now_ns) {
  const std::uint32_t used = used_in_calendar(rule, state, now_ns);
  return view_counter(rule, used, used == 0 ? 0 : left_in_calendar(rule, state, now_ns));
}

std::uint32_t available_calendar(const limit& rule, const limit_state& state, std::int64_t now_ns) {
  return left_of(rule, used_in_calendar(rule, state, now_ns));
}

limit_state charge_calendar(const limit& rule, const limit_state& state, std::int64_t now_ns,
                            std::uint32_t units) {
  const std::int64_t start = calendar_start(rule.unit, now_ns);
  const std::uint32_t used = state.at < start ? 0 : state.used;
  PENSTOCK_ASSERT(units <= UINT32_MAX - used);
  return {start, used + units, 0};
}

std::int64_t wait_calendar(const limit& rule, const limit_state& state, std::int64_t now_ns,
                           std::uint32_t units) {
  return wait_for_counter(rule, view_calendar(rule, state, now_ns), units);
}

bool is_idle_calendar(const limit& rule, const limit_state& state, std::int64_t now_ns) {
  return used_in_calendar(rule, state, now_ns) == 0;
}

limit_state carry_calendar(const limit& before, const limit&, const limit_state& state,
                           std::int64_t now_ns) {
  return begun(state, calendar_start(before.unit, now_ns), now_ns);
}

std::int64_t window_at_once_calendar(const limit&) {
  return max_window_ns;
}

// -- words ----------------------------------------------------------------------------------------

std::string calendar_unit_text(const limit& rule) {
  const auto number = static_cast<std::size_t>(rule.unit);
  PENSTOCK_ASSERT(number < std::size(calendar_unit_names));
  return std::string{calendar_unit_names[number]};
}

std::int64_t calendar_unit_ns(const limit& rule) {
  using namespace std::chrono;
  switch (rule.unit) {
  case calendar_unit::hour:
    return nanoseconds{hours{1}}.count();
  case calendar_unit::day:
    return nanoseconds{days{1}}.count();
  case calendar_unit::month:
    return nanoseconds{days{30}}.count();
  }
  return 0;
}

} // namespace

const limit_algorithm calendar_algorithm{
    .name = "calendar",
    .summary = "hour, day or month, UTC",
    .takes_calendar_unit = true,
    .check_units = check_amount,
    .check_numbers = nothing_wrong,
    .window_text = calendar_unit_text,
    .nominal_window_ns = calendar_unit_ns,
    .look = view_calendar,
    .available = available_calendar,
    .charge = charge_calendar,
    .wait_ns = wait_calendar,
    .is_idle = is_idle_calendar,
    .carry_over = carry_calendar,
    .units_at_once = whole_amount,
    .window_at_once_ns = window_at_once_calendar,
    .set_aside = charge_calendar,
    .window_left_ns = left_in_calendar,
    .lease_mark = start_of_window,
    .settle = settle_counter,
    .fold = nothing_to_fold,
    .unfold = nothing_to_unfold,
    .to_row = same_row,
};

} // namespace penstock
