// The limit algorithms, as pure functions: state and time come in, a decision goes out.
#pragma once

#include "actors/plan.hpp"

#include <cstdint>

namespace penstock {

/// Longer windows count as this one (100 years), so that a time within [0, max_now_ns] plus a
/// window never overflows. A gcra burst is worth at most as much time.
inline constexpr std::int64_t max_window_ns = 3'155'760'000'000'000'000;
/// The latest time the functions below are defined for: the year 2116.
inline constexpr std::int64_t max_now_ns = std::int64_t{1} << 62;

/// What a limiter remembers of one client for one limit: 16 bytes, all zero for a new client.
///   gcra            at + used / amount = theoretical arrival time (ns), exactly
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

// -- units set aside: a lease
// -------------------------------------------------------------------------
//
// An owner may charge units at `now` that are spent later, until now + lifetime. That admits no
// more than deciding each unit when it is spent would:
// - Windows: units count in the window in which they were charged, so a lease must end with it
//   (window_left_ns), and within it the owner's count is never below what was spent.
// - gcra: a lease is charged as if all of it came at its end, now + lifetime, but checked against
//   the burst of `now`. Take the units spent in any interval [a, b], in the order of their charges.
//   The first was charged as of a time that is not before a; the last left the TAT no later than
//   its own now + burst, which is not after b + burst. In between the TAT rose by a unit's time
//   for each, so they are no more than rate * (b - a) + burst.

/// available_units() and charge() for units that are spent until now + lifetime_ns. `interval`
/// limits can't be leased: 0.
std::uint32_t leasable_units(const limit& rule, const limit_state& state, std::int64_t now_ns,
                             std::int64_t lifetime_ns);
limit_state charge_lease(const limit& rule, const limit_state& state, std::int64_t now_ns,
                         std::int64_t lifetime_ns, std::uint32_t units);

/// From now until the window ends in which a unit charged now would count; `never` for gcra.
std::int64_t window_left_ns(const limit& rule, const limit_state& state, std::int64_t now_ns);

/// What a lease must be remembered by to be refunded: for windows their start, for gcra the time
/// until which the TAT can't have fallen behind, if `units` of the lease are outstanding.
std::int64_t lease_mark(const limit& rule, const limit_state& charged, std::int64_t granted_ns,
                        std::int64_t lifetime_ns);

/// The state after `units` of a lease of which `outstanding` were left turned out not to be spent;
/// the same state when they count no more, or can't be told from what was forgotten since. Of
/// gcra, once the lease is over, no more than what has not come back by itself meanwhile.
limit_state refund(const limit& rule, const limit_state& state, std::int64_t now_ns,
                   std::int64_t mark, std::uint32_t outstanding, std::uint32_t units);

/// Start of the calendar unit that holds `now` and of the next one, UTC, in ns since the epoch.
std::int64_t calendar_start(calendar_unit unit, std::int64_t now_ns);
std::int64_t calendar_next(calendar_unit unit, std::int64_t now_ns);

} // namespace penstock
