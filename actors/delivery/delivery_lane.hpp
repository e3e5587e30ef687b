// A lane: the thread on which one batch at a time goes to a sink.
#pragma once

#include "actors/delivery/delivery_messages.hpp"
#include "actors/interfaces/interfaces.hpp"

#include <chrono>
#include <cstdint>
#include <memory>

namespace penstock {

struct delivery_lane_parts {
  std::uint32_t number = 0;
  std::shared_ptr<sink> to;
  std::chrono::milliseconds timeout_ms{10'000};
};

/// Takes lane_deliver_ptr, answers lane_delivered. It blocks on the network: spawn it detached.
delivery_lane_handle::behavior_type delivery_lane(delivery_lane_handle::pointer self,
                                                  delivery_lane_parts parts);

} // namespace penstock
