// What the keeper of segments counts.
#pragma once

#include "actors/base/metrics.hpp"

namespace penstock {

/// The keeper actor's.
struct alignas(64) retention_metrics {
  counter retired;     ///< segments
  counter failures;    ///< of preparing or retiring a segment
  counter moved;       ///< segments of which what was left was put into another
  counter moved_bytes; ///< written by that
};

} // namespace penstock
