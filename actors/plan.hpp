// What a client may do: limits, plans and verdicts, as plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace penstock {

enum class algorithm : std::uint8_t { gcra, fixed_window, sliding_window, interval, calendar };
enum class calendar_unit : std::uint8_t { hour, day, month };

/// The most limits a plan may hold; bounds the memory of a client and the size of a verdict.
inline constexpr std::size_t max_limits_per_plan = 8;

/// One limit. Times are nanoseconds since the Unix epoch, UTC.
struct limit {
  std::string name;
  algorithm kind = algorithm::gcra;
  std::uint32_t amount = 1;    ///< units admitted per window; at least 1
  std::int64_t window_ns = 0;  ///< unused by `calendar`
  std::uint32_t burst = 0;     ///< gcra: units admitted at once; 0 means `amount`
  calendar_unit unit = calendar_unit::day;

  bool operator==(const limit&) const = default;
};

/// A named set of limits; a request passes only if all admit it. No limits: everything passes.
struct plan {
  std::string name;
  std::vector<limit> limits;

  bool operator==(const plan&) const = default;
};

/// The answer for one request of cost n: how much of it is admitted, and the state of the limit
/// that is nearest to refusing (or that refused).
struct verdict {
  std::uint32_t granted = 0;    ///< units admitted, 0 to the cost asked for
  std::uint32_t remaining = 0;  ///< units of that limit still available
  std::uint32_t reset_s = 0;    ///< seconds, rounded up, until it is available again (RateLimit t=)
  std::uint8_t limit = no_limit;  ///< index into plan.limits
  std::uint8_t reason = 0;      ///< why nothing was granted; see refusal

  static constexpr std::uint8_t no_limit = 255;
  bool operator==(const verdict&) const = default;
};

/// Why a request was refused.
enum class refusal : std::uint8_t {
  none = 0,
  quota,        ///< a limit of its plan: 429
  table_full,   ///< the limiter tracks as many clients as it may: 503
  unreachable,  ///< the shard's owner can't be reached and the cluster is set to refuse: 503
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, verdict& x) {
  return f(x.granted, x.remaining, x.reset_s, x.limit, x.reason);
}

} // namespace penstock
