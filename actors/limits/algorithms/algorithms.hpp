// The operations of a limit algorithm. Each algorithm is one file in this folder, which defines
// its table of them, and one line in list.inc; nothing else tells algorithms apart.
#pragma once

#include "actors/limits/algorithms/limit.hpp"
#include "actors/limits/algorithms/limit_draft.hpp"
#include "storage/base/assert.hpp"

#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>

namespace penstock {

/// All operations are pure: state and time come in, a decision goes out. `now_ns` is within [0,
/// max_now_ns] and never goes back for one client; the caller sees to that. States may come from a
/// peer or the disk: within [0, max_now_ns] for `at`, whatever for the rest. Any thread.
struct limit_algorithm {
  // -- words --------------------------------------------------------------------------------------

  std::string_view name;    ///< in the configuration, and wherever the limit is shown
  std::string_view summary; ///< half a sentence for the reference of the configuration
  bool takes_amount = true; ///< false: it admits one, and `amount` is not written
  bool takes_burst = false;
  bool takes_calendar_unit = false; ///< its window is one and not a duration
  bool is_leasable = true;          ///< false: every request goes to the owner

  /// What is wrong with the draft's amount and cost, and what would do; empty when nothing is.
  std::string (*check_units)(const limit_draft& draft);
  /// The same of its numbers together, once each is right alone.
  std::string (*check_numbers)(const limit_draft& draft);
  /// Its window as it is written.
  std::string (*window_text)(const limit& rule);
  /// Its window's length, as it is told in headers: of a month 30 days.
  std::int64_t (*nominal_window_ns)(const limit& rule);

  // -- decisions: see limits.hpp ------------------------------------------------------------------

  limit_view (*look)(const limit& rule, const limit_state& state, std::int64_t now_ns);
  std::uint32_t (*available)(const limit& rule, const limit_state& state, std::int64_t now_ns);
  /// `units` is at least 1 and at most what is available.
  limit_state (*charge)(const limit& rule, const limit_state& state, std::int64_t now_ns,
                        std::uint32_t units);
  std::int64_t (*wait_ns)(const limit& rule, const limit_state& state, std::int64_t now_ns,
                          std::uint32_t units);
  bool (*is_idle)(const limit& rule, const limit_state& state, std::int64_t now_ns);
  /// The state is not idle under the rule before.
  limit_state (*carry_over)(const limit& before, const limit& after, const limit_state& state,
                            std::int64_t now_ns);

  // -- leases: see limits.hpp ---------------------------------------------------------------------

  /// What a client can have at once, and in how long it gets that much anew.
  std::uint32_t (*units_at_once)(const limit& rule);
  std::int64_t (*window_at_once_ns)(const limit& rule);
  limit_state (*set_aside)(const limit& rule, const limit_state& state, std::int64_t now_ns,
                           std::uint32_t units);
  std::int64_t (*window_left_ns)(const limit& rule, const limit_state& state, std::int64_t now_ns);
  std::int64_t (*lease_mark)(const limit_state& charged);
  limit_state (*settle)(const limit& rule, const limit_state& state, std::int64_t now_ns,
                        std::int64_t mark, std::uint32_t leased, std::uint32_t unspent);
  limit_state (*fold)(const limit& rule, const limit_state& state, std::int64_t now_ns);
  limit_state (*unfold)(const limit& rule, const limit_state& state, std::uint32_t units);

  // -- rows ---------------------------------------------------------------------------------------

  /// The folded state as it is saved and goes to other nodes, where the rule may have other
  /// numbers.
  limit_state (*to_row)(const limit_state& folded);
};

#define PENSTOCK_ALGORITHM(name) extern const limit_algorithm name##_algorithm;
#include "actors/limits/algorithms/list.inc"
#undef PENSTOCK_ALGORITHM

/// By number.
#define PENSTOCK_ALGORITHM(name) &name##_algorithm,
inline constexpr const limit_algorithm* limit_algorithms[] = {
#include "actors/limits/algorithms/list.inc"
};
#undef PENSTOCK_ALGORITHM

/// The operations of a limit's algorithm.
inline const limit_algorithm& algorithm_of(algorithm kind) {
  const auto number = static_cast<std::size_t>(kind);
  PENSTOCK_ASSERT(number < std::size(limit_algorithms));
  return *limit_algorithms[number];
}

/// How long units of a limit may be set aside: a fifteenth of its window (of gcra, of the time in
/// which its burst comes back), within these bounds.
inline constexpr std::int64_t min_lease_lifetime_ns = 20'000'000;
inline constexpr std::int64_t max_lease_lifetime_ns = 4'000'000'000;
std::int64_t lease_lifetime_ns(const limit& rule);

} // namespace penstock
