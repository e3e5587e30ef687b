// What every actor of a node is told: never serialised.
#pragma once

#include "actors/base/compat.hpp"

#include <chrono>
#include <cstdint>

namespace penstock {

/// Finish what is under way, then quit; told to every actor by a drain.
struct drain {
  /// How long it may take; 0: as the actor was set up. Front ends look at it.
  std::chrono::milliseconds time_ms{0};
};
/// The answer, when nothing is under way any more.
struct drained {};

/// The queue's and the keeper's own regular tick. The journal may send it to the keeper when it
/// has taken the prepared segment.
struct upkeep_tick {};

/// An actor's own reminder that something is due: a save, an expiry, the end of a wait.
struct wake_up {
  std::int64_t at_ms = 0;
};

} // namespace penstock

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::drain)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::drained)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::upkeep_tick)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::wake_up)

CAF_BEGIN_TYPE_ID_BLOCK(penstock_lifecycle, caf::first_custom_type_id + 120)
CAF_ADD_TYPE_ID(penstock_lifecycle, (penstock::drain))
CAF_ADD_TYPE_ID(penstock_lifecycle, (penstock::drained))
CAF_ADD_TYPE_ID(penstock_lifecycle, (penstock::upkeep_tick))
CAF_ADD_TYPE_ID(penstock_lifecycle, (penstock::wake_up))
CAF_END_TYPE_ID_BLOCK(penstock_lifecycle)
