// The actors of this layer of which others know more than actors/interfaces says.
#pragma once

#include "actors/interfaces/interfaces.hpp"

namespace penstock {

struct rules_changed;

/// A front end as the node knows it that starts it.
using ingest_handle = front_end_handle::extend<
    // of the node's start: serve
    caf::reacts_to<caf::open_atom>,
    // of the node's start, for extensions
    caf::reacts_to<subscribe_verdicts>,
    // of reloads
    caf::reacts_to<rules_changed>,
    // of a drain
    caf::replies_to<drain>::with<drained>>;

} // namespace penstock
