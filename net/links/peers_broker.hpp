// CAF's broker that speaks to peers, mended.
#pragma once

#include <caf/io/basp_broker.hpp>

namespace penstock {

/// Heartbeats and time limits of links are its work, whatever is below. Lives on the thread of the
/// link_multiplexer.
///
/// A broker of CAF 0.17.6 leaves its mailbox open when it ends: abstract_broker::cleanup passes by
/// what scheduled_actor does. A message that comes then, as that an actor is down whom a peer knew,
/// would stay there with its sender, and the system wait for ever for a detached one.
class peers_broker final : public caf::io::basp_broker {
 public:
  using basp_broker::basp_broker;

  bool cleanup(caf::error&& why, caf::execution_unit* host) override;
};

/// The one of a system; the middleman asks for it by this name, too. Who is first makes it.
caf::actor broker_of_peers(caf::actor_system& system);

} // namespace penstock
