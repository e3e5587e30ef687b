// Which version of CAF there must be, and what we add to it.
#pragma once

#include <caf/config.hpp>

#if CAF_VERSION < 1705
#error "Penstock needs CAF 0.17.5 or newer"
#endif

#include <caf/all.hpp>

namespace penstock {

/// For set_default_handler(): what an actor has no handler for (any more) is nothing. caf::drop
/// answers it with an error instead, and an error that comes unasked ends the actor that gets it:
/// a peer, or the actor itself where its own timer rang. Requests are told that there is no answer.
inline caf::result<caf::message> ignore_message(caf::scheduled_actor*, caf::message_view&) {
  return caf::message{};
}

} // namespace penstock
