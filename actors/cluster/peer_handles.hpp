// From the actors that a welcome names to typed handles, and back.
#pragma once

#include "actors/cluster/link_messages.hpp"

#include <cstdint>
#include <string>

namespace penstock {

// Here, and nowhere else, the type of a peer's actor is believed without proof: the wire has none,
// and the peer runs this program too, or a version of it that speaks the same messages. One that
// lies gets messages that it drops; what it sends goes through our handlers as anybody's does.

/// What was found on a peer's cluster port.
handshake_acceptor_handle handshake_acceptor_of(const caf::strong_actor_ptr& found);

/// A peer's actors, as its gate said what each of them is.
peer_up peer_up_of(const welcome& answer, std::uint16_t member, const std::string& address);

/// What this node's gate says of `here`, which is told as of a peer.
welcome welcome_of(const peer_up& here);

} // namespace penstock
