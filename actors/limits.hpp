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

/// Start of the calendar unit that holds `now` and of the next one, UTC, in ns since the epoch.
std::int64_t calendar_start(calendar_unit unit, std::int64_t now_ns);
std::int64_t calendar_next(calendar_unit unit, std::int64_t now_ns);

} // namespace penstock
