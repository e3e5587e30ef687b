// Where events of streams and jobs wait to be sent, and when that is.
#pragma once

#include "actors/delivery/held_streams.hpp"
#include "actors/delivery/publisher_context.hpp"
#include "actors/delivery/publisher_lanes.hpp"
#include "actors/delivery/sink_health.hpp"

#include <cstdint>

namespace penstock {

/// Held streams wait for a probe, all others in the queues of their lanes. Not synchronised.
class batch_dispatcher {
 public:
  batch_dispatcher(const publisher_context& context, const sink_health& health,
                   publisher_lanes& lanes, held_streams& holds)
      : context_(context), health_(health), lanes_(lanes), holds_(holds) {}

  /// The source may have events for the lane.
  void enqueue(std::uint32_t lane, const delivery_source& from);
  /// The same, for any lane.
  void enqueue(const delivery_source& from);
  /// Sends all that may be sent now.
  void dispatch();

 private:
  const publisher_context& context_;
  const sink_health& health_;
  publisher_lanes& lanes_;
  held_streams& holds_;
};

} // namespace penstock
