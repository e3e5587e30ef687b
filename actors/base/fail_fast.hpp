// What becomes of a node whose actor throws.
#pragma once

#include "actors/base/compat.hpp"

namespace penstock {

/// An exception in a handler means a broken invariant: the process ends with exit code 70, so that
/// a supervisor restarts it from what is durable, rather than running on without that actor.
void end_process_on_exception(caf::scheduled_actor* self);

} // namespace penstock
