// What a client may do: limits, plans and verdicts, as plain values.
#pragma once

#include "actors/limits/algorithms/limit.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// The most limits a plan may hold; bounds the memory of a client and the size of a verdict.
inline constexpr std::size_t max_limits_per_plan = 8;

/// The plan of clients without a key.
inline constexpr std::string_view anonymous_plan_name = "anonymous";

/// A named set of limits; a request passes only if all admit it. No limits: everything passes.
struct plan {
  std::string name;
  std::vector<limit> limits;

  bool operator==(const plan&) const = default;
};

/// The answer for one request of cost n: how much of it is admitted, and the state of the limit
/// that is nearest to refusing (or that refused).
struct verdict {
  std::uint32_t granted = 0;   ///< units admitted, 0 to the cost asked for
  std::uint32_t remaining = 0; ///< units of that limit still available
  std::uint32_t reset_s = 0;   ///< seconds, rounded up, until it is available again (RateLimit t=)
  std::uint8_t limit = no_limit; ///< index into plan.limits
  std::uint8_t reason = 0;       ///< why nothing was granted; see refusal
  /// plan_digest() of the rules that decided: an answer must not tell others beside this state.
  std::uint16_t plan_digest = 0; ///< 0: not known

  static constexpr std::uint8_t no_limit = 255;
  static constexpr std::uint8_t pending = 255; ///< a reason: there is no verdict yet
  bool operator==(const verdict&) const = default;
};

/// Why a request was refused.
enum class refusal : std::uint8_t {
  none = 0,
  quota,        ///< a limit of its plan: 429
  table_full,   ///< the limiter tracks as many clients as it may: 503
  unreachable,  ///< the shard's owner can't be reached and the cluster is set to refuse: 503
  unknown_plan, ///< the limiter does not know the plan (yet): 503
  too_large,    ///< the first event alone is more than a byte limit ever admits: 413
};
inline constexpr std::size_t refusal_count = 6;

// -- what is known of a plan without any state: pure ----------------------------------------------

/// Names a plan between nodes and on the disk: XXH32 of its name.
std::uint32_t plan_id(std::string_view name);
/// Names a stream between nodes: XXH32 of its name.
std::uint32_t stream_id(std::string_view name);
/// Names what a limit counts, within its scope: of its name, algorithm and cost. While these stay,
/// what was used stays, however the numbers change.
std::uint32_t limit_id(const limit& rule);

/// Tells a plan from what it is before and after a change: of all that answers say of its limits,
/// and of what they count.
/// Never 0. Two versions of a plan are mistaken for each other once in 65,535 changes.
std::uint16_t plan_digest(const plan& rules);

/// True when the second goes on with what was used under the first: name, algorithm, cost and
/// scope.
bool counts_the_same(const limit& a, const limit& b);

/// Limits that count for this long or longer survive a restart, and so do all of the calendar.
inline constexpr std::int64_t min_surviving_window_ns = 60'000'000'000;
bool survives_restart(const limit& rule);

/// One bit a limit of a plan.
using limit_mask = std::uint8_t;
static_assert(max_limits_per_plan <= 8 * sizeof(limit_mask));
inline constexpr limit_mask all_limits = 0xff;

/// Whether the limit is for requests of this method ("POST") and path.
bool applies_to(const limit& rule, std::string_view method, std::string_view path);
/// The plan's limits that are.
limit_mask limits_that_apply(const plan& rules, std::string_view method, std::string_view path);
/// True when that depends on method or path at all.
bool is_selective(const plan& rules);
/// True when a limit counts bytes: a request's items then tell them.
bool counts_bytes(const plan& rules);

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, verdict& x) {
  return f(x.granted, x.remaining, x.reset_s, x.limit, x.reason, x.plan_digest);
}

} // namespace penstock
