// The lanes of a publisher: which batch each delivers, and whose events it takes next.
#pragma once

#include "actors/delivery/publisher_context.hpp"
#include "actors/delivery/publisher_stream.hpp"
#include "actors/delivery/sink_health.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

namespace penstock {

/// One batch is under way a lane. Sources with events that wait stand in a lane's queue and take
/// turns; held ones are only passed over there, they are tried by held_streams. Not synchronised.
class publisher_lanes {
 public:
  /// Whose batch came back, and what became of each of its events.
  struct answer {
    delivery_source from;
    delivery outcome;
  };

  publisher_lanes(publisher_context& context, sink_health& health)
      : context_(context), health_(health) {}

  /// Once the context has its lanes.
  void start();
  std::uint32_t size() const { return static_cast<std::uint32_t>(lanes_.size()); }
  bool is_idle(std::uint32_t lane) const { return lanes_[lane].token == 0; }
  bool all_idle() const;

  /// The source has events for the lane, perhaps; it is queued if so, once.
  void enqueue(std::uint32_t lane, const delivery_source& from);
  /// It stands in no queue any more.
  void drop(const delivery_source& from);
  /// Gives each idle lane its next batch, or wakes the actor when one is due.
  void send_due();
  /// For an open breaker: sends a small batch of a stream that got through, or else failed least: a
  /// breaker that others made open closes again at once.
  void send_probe();
  /// Sends a batch of at most `max_events`; the lane is idle, and something waits.
  void send_batch(std::uint32_t lane, const delivery_source& from, std::uint32_t max_events);
  /// The lane's answer; nothing if it is not of the batch under way.
  std::optional<answer> take_answer(const lane_delivered& update);
  /// They end.
  void stop();

 private:
  struct lane_state {
    delivery_lane_handle worker;
    std::uint64_t token = 0; // of the batch under way; 0: none
    std::size_t events = 0;
    delivery_source busy_with;
    std::deque<delivery_source> queue; // those with events that wait; each once
  };

  void send_due(std::uint32_t lane_number);
  bool is_unproven(const delivery_source& from) const;

  publisher_context& context_;
  sink_health& health_;
  std::vector<lane_state> lanes_;
  std::uint64_t next_token_ = 1;
};

} // namespace penstock
