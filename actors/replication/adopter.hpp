// The actor that publishes what is held of a node that does not come back.
#pragma once

#include "actors/interfaces/interfaces.hpp"
#include "actors/replication/replica_messages.hpp"

#include <functional>

namespace penstock {

/// Publishes, or tries to; blocks until it has, can't for now, or the node ends.
using publish_replica = std::function<replica_adopted(const adopt_replica& what)>;

/// Takes adopt_replica, one at a time (answered with replica_adopted), and drain. It blocks: spawn
/// it detached.
adopter_handle::behavior_type adopter(adopter_handle::pointer self, publish_replica publish);

} // namespace penstock
