// The limit algorithms, as pure functions: state and time come in, a decision goes out.
#pragma once

#include "actors/limits/plan.hpp"

#include <cstdint>

namespace penstock {

/// Longer windows count as this one (100 years), so that a time within [0, max_now_ns] plus a
/// window never overflows. A gcra burst is worth at most as much time.
inline constexpr std::int64_t max_window_ns = 3'155'760'000'000'000'000;
/// The latest time the functions below are defined for: the year 2116.
inline constexpr std::int64_t max_now_ns = std::int64_t{1} << 62;

/// What a limiter remembers of one client for one limit: 16 bytes, all zero for a new client.
///   gcra            at + used / amount = theoretical arrival time (ns), exactly; previous = units
///                   set aside in leases, which are charged when it is known what was spent
///   fixed_window    at = start of the window, which the first request opens; used = spent in it
///   sliding_window  at = start of the current aligned window; used, previous = spent in it and in
///                   the one before
///   interval        at = when the next request may come
///   calendar        at = start of the hour, day or month, UTC; used = spent in it
struct limit_state {
  std::int64_t at = 0;
  std::uint32_t used = 0;
  std::uint32_t previous = 0;

  bool operator==(const limit_state&) const = default;
};
static_assert(sizeof(limit_state) == 16);

/// What one limit says of a request, without charging it.
struct limit_view {
  std::uint32_t available = 0; ///< units that would be admitted at `now`
  std::int64_t retry_ns = 0;   ///< from now until one more unit than `available` could be admitted;
                               ///< 0 when that is never, since the whole amount is available
  std::int64_t reset_ns = 0;   ///< from now until the whole amount is available again
};

/// Pure: looks, changes nothing. `now` never goes back for one client (the caller sees to it).
limit_view look(const limit& rule, const limit_state& state, std::int64_t now_ns);

/// look().available without the cost of the times.
std::uint32_t available_units(const limit& rule, const limit_state& state, std::int64_t now_ns);

/// Pure: the state after `units` more were admitted at `now`; units <= look().available.
limit_state charge(const limit& rule, const limit_state& state, std::int64_t now_ns,
                   std::uint32_t units);

/// True when forgetting the state changes no future verdict: the client is as good as new.
bool is_idle(const limit& rule, const limit_state& state, std::int64_t now_ns);

/// What wait_ns() says of more units than the limit ever admits at once.
inline constexpr std::int64_t never = INT64_MAX;

/// Pure: from now until `units` could be charged at once; 0 when they can be already.
std::int64_t wait_ns(const limit& rule, const limit_state& state, std::int64_t now_ns,
                     std::uint32_t units);

/// Pure: the state with which a client goes on when the numbers of a limit change, which is of the
/// same algorithm before and after. The units it has used stay used, up to all the new rule has.
/// With the same rule twice it brings a state back within what the rule can leave behind.
limit_state carry_over(const limit& before, const limit& after, const limit_state& state,
                       std::int64_t now_ns);

// -- units set aside: a lease ---------------------------------------------------------------------
//
// An owner may set units aside at `now` that are spent later. That admits no more than deciding
// each unit when it is spent would:
// - Windows: units are charged at once and count in the window in which they were, so a lease must
//   end with it (window_left_ns), and within it the owner's count is never below what was spent.
// - gcra: units are reserved, beside the TAT, and charged when the lease is settled, as of then.
// Let
//   T be a unit's time and R the units reserved, of which `out` may still be spent. What is
//   promised is max(TAT, now) + R T >= max(TAT of what was really spent, now) + out T, and R >=
//   out. To spend a unit leaves both sides as they are. Time raises the right side no more than the
//   left: the left stands still only while TAT >= now, and then it is at least now + R T. To settle
//   s units that were spent and u that were not takes u T from both. A unit is admitted, or set
//   aside, only if the left side stays within now + burst; so what was really spent does, too.

/// How long units of a limit may be set aside: a fifteenth of its window (of gcra, of the time in
/// which its burst comes back), within these bounds.
inline constexpr std::int64_t min_lease_lifetime_ns = 20'000'000;
inline constexpr std::int64_t max_lease_lifetime_ns = 4'000'000'000;
std::int64_t lease_lifetime_ns(const limit& rule);

/// The state with so many more units set aside, no more than available_units(). `interval` limits
/// can't be leased.
limit_state set_aside(const limit& rule, const limit_state& state, std::int64_t now_ns,
                      std::uint32_t units);

/// From now until the window ends in which a unit charged now would count; `never` for gcra.
std::int64_t window_left_ns(const limit& rule, const limit_state& state, std::int64_t now_ns);

/// What a lease must be remembered by to be settled: for windows their start, for gcra nothing.
std::int64_t lease_mark(const limit& rule, const limit_state& charged);

/// The state once it is known that `unspent` of the `leased` units of a lease were not spent. Those
/// that were charged in a window that is over count no more.
limit_state settle(const limit& rule, const limit_state& state, std::int64_t now_ns,
                   std::int64_t mark, std::uint32_t leased, std::uint32_t unspent);

/// The state as who knows of no leases must have it: units reserved are charged as if they came
/// when the last lease ends, so that they don't come back while they can still be spent.
limit_state fold(const limit& rule, const limit_state& state, std::int64_t now_ns);

/// The opposite, for who comes to know of a lease that is in a folded state.
limit_state unfold(const limit& rule, const limit_state& state, std::uint32_t units);

/// Start of the calendar unit that holds `now` and of the next one, UTC, in ns since the epoch.
std::int64_t calendar_start(calendar_unit unit, std::int64_t now_ns);
std::int64_t calendar_next(calendar_unit unit, std::int64_t now_ns);

} // namespace penstock
