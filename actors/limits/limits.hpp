// What a limit decides, as pure functions: state and time come in, a decision goes out. Each
// algorithm is a file in algorithms/.
#pragma once

#include "actors/limits/algorithms/algorithms.hpp"
#include "actors/limits/plan.hpp"

#include <cstdint>

namespace penstock {

/// Pure: looks, changes nothing. `now` never goes back for one client (the caller sees to it).
inline limit_view look(const limit& rule, const limit_state& state, std::int64_t now_ns) {
  return algorithm_of(rule.kind).look(rule, state, now_ns);
}

/// look().available without the cost of the times.
inline std::uint32_t available_units(const limit& rule, const limit_state& state,
                                     std::int64_t now_ns) {
  return algorithm_of(rule.kind).available(rule, state, now_ns);
}

/// Pure: the state after `units` more were admitted at `now`; units <= look().available.
inline limit_state charge(const limit& rule, const limit_state& state, std::int64_t now_ns,
                          std::uint32_t units) {
  return units == 0 ? state : algorithm_of(rule.kind).charge(rule, state, now_ns, units);
}

/// True when forgetting the state changes no future verdict: the client is as good as new.
inline bool is_idle(const limit& rule, const limit_state& state, std::int64_t now_ns) {
  return algorithm_of(rule.kind).is_idle(rule, state, now_ns);
}

/// Pure: from now until `units` could be charged at once; 0 when they can be already, `never` when
/// the limit never admits so many at once.
inline std::int64_t wait_ns(const limit& rule, const limit_state& state, std::int64_t now_ns,
                            std::uint32_t units) {
  return algorithm_of(rule.kind).wait_ns(rule, state, now_ns, units);
}

/// Pure: the state with which a client goes on when the numbers of a limit change, which is of the
/// same algorithm before and after. The units it has used stay used, up to all the new rule has.
/// With the same rule twice it brings a state back within what the rule can leave behind.
inline limit_state carry_over(const limit& before, const limit& after, const limit_state& state,
                              std::int64_t now_ns) {
  PENSTOCK_ASSERT(before.kind == after.kind);
  if (is_idle(before, state, now_ns)) return {};
  return algorithm_of(after.kind).carry_over(before, after, state, now_ns);
}

// -- units set aside: a lease ---------------------------------------------------------------------
//
// An owner may set units aside at `now` that are spent later. That admits no more than deciding
// each unit when it is spent would:
// - Windows: units are charged at once and count in the window in which they were, so a lease must
//   end with it (window_left_ns), and within it the owner's count is never below what was spent.
// - gcra: units are reserved, and charged when the lease is settled; see algorithms/gcra.cpp.

/// The state with so many more units set aside, no more than available_units(). Limits that are not
/// leasable can't be leased.
inline limit_state set_aside(const limit& rule, const limit_state& state, std::int64_t now_ns,
                             std::uint32_t units) {
  return units == 0 ? state : algorithm_of(rule.kind).set_aside(rule, state, now_ns, units);
}

/// From now until the window ends in which a unit charged now would count; `never` for gcra.
inline std::int64_t window_left_ns(const limit& rule, const limit_state& state,
                                   std::int64_t now_ns) {
  return algorithm_of(rule.kind).window_left_ns(rule, state, now_ns);
}

/// What a lease must be remembered by to be settled: for windows their start, for gcra nothing.
inline std::int64_t lease_mark(const limit& rule, const limit_state& charged) {
  return algorithm_of(rule.kind).lease_mark(charged);
}

/// The state once it is known that `unspent` of the `leased` units of a lease were not spent. Those
/// that were charged in a window that is over count no more.
inline limit_state settle(const limit& rule, const limit_state& state, std::int64_t now_ns,
                          std::int64_t mark, std::uint32_t leased, std::uint32_t unspent) {
  return algorithm_of(rule.kind).settle(rule, state, now_ns, mark, leased, unspent);
}

/// The state as who knows of no leases must have it: units reserved are charged as if they came
/// when the last lease ends, so that they don't come back while they can still be spent.
inline limit_state fold(const limit& rule, const limit_state& state, std::int64_t now_ns) {
  return algorithm_of(rule.kind).fold(rule, state, now_ns);
}

/// The opposite, for who comes to know of a lease that is in a folded state.
inline limit_state unfold(const limit& rule, const limit_state& state, std::uint32_t units) {
  return algorithm_of(rule.kind).unfold(rule, state, units);
}

} // namespace penstock
