// Requests to send events again: dead letters and replays.
#pragma once

#include "actors/delivery/batch_dispatcher.hpp"
#include "actors/delivery/delivery_messages.hpp"
#include "actors/delivery/publisher_context.hpp"
#include "actors/delivery/publisher_lanes.hpp"
#include "actors/delivery/publisher_stream.hpp"

#include <cstddef>
#include <cstdint>
#include <list>

namespace penstock {

/// Requests to send events again that are under way at one time.
inline constexpr std::size_t max_again_requests = 64;

/// Their events go through the lanes beside the streams, and move no cursor. Not synchronised.
class again_jobs {
 public:
  again_jobs(const publisher_context& context, publisher_lanes& lanes, batch_dispatcher& dispatcher)
      : context_(context), lanes_(lanes), dispatcher_(dispatcher) {}

  /// Answers when each event is delivered or refused for good, or at once that it can't be begun.
  void begin(const deliver_again_ptr& request, caf::response_promise promise);
  /// What became of a batch. The job may be gone after.
  void settle(std::uint32_t lane, again_job& job, delivery outcome);
  /// The node drains: those under way end without a result.
  void give_up();

 private:
  void finish(again_job& job);

  const publisher_context& context_;
  publisher_lanes& lanes_;
  batch_dispatcher& dispatcher_;
  std::list<again_job> jobs_;
};

} // namespace penstock
