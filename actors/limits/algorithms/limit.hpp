// One limit, and what is remembered of a client for it, as plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace penstock {

#define PENSTOCK_ALGORITHM(name) name,
enum class algorithm : std::uint8_t {
#include "actors/limits/algorithms/list.inc"
};
#undef PENSTOCK_ALGORITHM

enum class calendar_unit : std::uint8_t { hour, day, month };

/// Whose use a limit counts. `stream`: that of an account in one stream.
enum class limit_scope : std::uint8_t { account, key, stream };
inline constexpr std::size_t scope_count = 3;

/// What a limit counts.
enum class limit_cost : std::uint8_t { event, byte };

/// One limit. Times are nanoseconds since the Unix epoch, UTC.
struct limit {
  std::string name;
  algorithm kind = algorithm::gcra;
  std::uint32_t amount = 1;   ///< units (events or bytes) admitted per window; at least 1
  std::int64_t window_ns = 0; ///< unused by `calendar`
  std::uint32_t burst = 0;    ///< gcra: units admitted at once; 0 means `amount`
  calendar_unit unit = calendar_unit::day;
  limit_scope scope = limit_scope::account;
  limit_cost cost = limit_cost::event;
  bool shadow = false;                ///< counted and told in metrics; never refuses nor speaks
  std::vector<std::string> paths{};   ///< none: all; one that ends in '*' means all that begin so
  std::vector<std::string> methods{}; ///< none: all; in capitals

  bool operator==(const limit&) const = default;
};

/// Longer windows count as this one (100 years), so that a time within [0, max_now_ns] plus a
/// window never overflows. A gcra burst is worth at most as much time.
inline constexpr std::int64_t max_window_ns = 3'155'760'000'000'000'000;
/// The latest time that algorithms are defined for: the year 2116.
inline constexpr std::int64_t max_now_ns = std::int64_t{1} << 62;

/// What comes from a peer or the disk may have begun so much later than now: clocks differ by less.
/// A window that began later still begins now, whoever says what: it keeps nobody out for longer
/// than its length.
inline constexpr std::int64_t max_ahead_ns = 1'000'000'000;

/// What a limiter remembers of one client for one limit: 16 bytes, all zero for a new client. What
/// they mean stands in the algorithm's file.
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

/// A time that is not within reach: of more units than a limit ever admits at once, or of a window
/// that does not end.
inline constexpr std::int64_t never = INT64_MAX;

} // namespace penstock
