#include "net/links/peers_broker.hpp"

#include <caf/io/middleman.hpp>

namespace penstock {

bool peers_broker::cleanup(caf::error&& why, caf::execution_unit* host) {
  close_all();
  return scheduled_actor::cleanup(std::move(why), host);
}

caf::actor broker_of_peers(caf::actor_system& system) {
  return system.middleman().named_broker<peers_broker>(caf::atom("BASP"));
}

} // namespace penstock
