// What several algorithms calculate with. For the files of this folder alone.
#pragma once

#include "actors/limits/algorithms/algorithms.hpp"

#include <algorithm>
#include <cstdint>
#include <string>

namespace penstock::limit_arithmetic {

// Products of an amount (32 bits) and a time (63 bits) need 95 bits.
__extension__ using wide = unsigned __int128;

// Most products fit 64 bits after all, and then dividing takes a fraction of the time.
inline wide divide(wide dividend, std::uint64_t divisor) {
  const auto low = static_cast<std::uint64_t>(dividend);
  return low == dividend ? low / divisor : dividend / divisor;
}

// A rule's numbers, made safe to calculate with: no zero divisor, and no sum with a time that
// overflows. The configuration rejects such values with a message; this is the last line.
inline std::uint32_t amount_of(const limit& rule) {
  return std::max(rule.amount, 1u);
}

inline std::int64_t window_of(const limit& rule) {
  return std::clamp<std::int64_t>(rule.window_ns, 1, max_window_ns);
}

// -- words ----------------------------------------------------------------------------------------

/// That the amount is missing.
std::string check_amount(const limit_draft& draft);
inline std::string nothing_wrong(const limit_draft&) {
  return {};
}
std::string duration_text(const limit& rule);
inline std::int64_t duration_ns(const limit& rule) {
  return rule.window_ns;
}

// -- a window's start, and what was spent since: fixed_window and calendar ------------------------

inline std::uint32_t left_of(const limit& rule, std::uint32_t used) {
  return amount_of(rule) - std::min(used, amount_of(rule));
}

inline limit_view view_counter(const limit& rule, std::uint32_t used, std::int64_t left_ns) {
  if (used == 0) return {amount_of(rule), 0, 0};
  return {left_of(rule, used), left_ns, left_ns};
}

inline std::int64_t wait_for_counter(const limit& rule, const limit_view& view,
                                     std::uint32_t units) {
  if (units <= view.available) return 0;
  return units > amount_of(rule) ? never : view.reset_ns;
}

inline limit_state settle_counter(const limit&, const limit_state& state, std::int64_t,
                                  std::int64_t mark, std::uint32_t, std::uint32_t unspent) {
  limit_state after = state;
  if (state.at == mark) after.used -= std::min(after.used, unspent);
  return after;
}

// -- what most algorithms have alike --------------------------------------------------------------

inline std::uint32_t whole_amount(const limit& rule) {
  return rule.amount;
}
inline std::int64_t start_of_window(const limit_state& charged) {
  return charged.at;
}
// The state, whose window begins no later than now, when it would have begun at `start_ns`.
inline limit_state begun(const limit_state& state, std::int64_t start_ns, std::int64_t now_ns) {
  limit_state after = state;
  if (state.at - now_ns > max_ahead_ns) after.at = start_ns;
  return after;
}
inline limit_state nothing_to_fold(const limit&, const limit_state& state, std::int64_t) {
  return state;
}
inline limit_state nothing_to_unfold(const limit&, const limit_state& state, std::uint32_t) {
  return state;
}
inline limit_state same_row(const limit_state& folded) {
  return folded;
}

} // namespace penstock::limit_arithmetic
