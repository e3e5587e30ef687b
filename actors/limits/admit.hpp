// All limits of a request checked together and charged together, as a pure function.
#pragma once

#include "actors/limits/limits.hpp"

#include <array>
#include <cstdint>
#include <span>

namespace penstock {

/// What a request asks for.
struct request_cost {
  std::uint32_t events = 1;
  std::uint32_t bytes = 0; ///< of all events; not looked at when there are sizes
  /// Bytes of each event. Without them a byte limit admits all events or none.
  std::span<const std::uint32_t> sizes{};
};

/// The states of a plan's limits, in its order; null where a limit does not apply to the request.
using limit_states = std::array<limit_state*, max_limits_per_plan>;

struct admission {
  verdict answer;
  limit_mask shadowed = 0;   ///< limits in shadow that would have refused some of what was granted
  std::int64_t retry_ns = 0; ///< of a refusal, from now until the next event is admitted
};

/// Of the request's events as many are granted, from the first on, as every limit admits: of a byte
/// limit, as many as its bytes last for. Each limit is charged for just those; a request of which
/// nothing is granted changes nothing. A limit in shadow has no say: of what is granted it is
/// charged as much as it would have admitted.
///
/// The verdict tells of the limit that is nearest to refusing (on a refusal, of part of the request
/// or all: of the one that admits the next event last); for this, a byte limit counts in events of
/// the request's mean size. `remaining` is in the limit's units. reset_s is, after a refusal, the
/// time until the next event is admitted, so that Retry-After is never earlier than it; else, when
/// units remain, the time until the whole amount is back; when none do, until the next unit. An
/// event that a limit will never admit is refusal::too_large.
admission admit(const plan& rules, const limit_states& states, std::int64_t now_ns,
                const request_cost& cost);

} // namespace penstock
