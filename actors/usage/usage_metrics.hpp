// What the usage actor counts.
#pragma once

#include "actors/base/metrics.hpp"

namespace penstock {

/// The usage actor's.
struct alignas(64) usage_metrics {
  counter entries;  ///< taken from front ends: an id and what was counted for it
  counter lost;     ///< entries given up, as usage.db could not be written for too long
  counter failures; ///< transactions that were rolled back
  gauge rows;       ///< in usage.db
};

} // namespace penstock
