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
  gauge copies;     ///< of other nodes' usage, that this node keeps
  /// Of this node's usage, and of nodes that are gone: those that no other node has taken whole.
  gauge copies_waiting;
  counter copies_refused; ///< messages with rows of a node of which there was no room for a copy
};

} // namespace penstock
