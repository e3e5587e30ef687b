// The streams of a sink that fail alone, and hold only themselves: when they are tried, and what is
// told of them.
#pragma once

#include "actors/delivery/publisher_context.hpp"
#include "actors/delivery/publisher_lanes.hpp"
#include "actors/delivery/publisher_streams.hpp"
#include "actors/delivery/sink_health.hpp"
#include "actors/delivery/stream_hold.hpp"

#include <cstddef>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

namespace penstock {

/// Streams that are logged one by one in a second when they begin or cease to be held.
inline constexpr std::size_t max_holds_told = 5;
/// A stream that has failed so often since it is held lets go of what it has in memory.
inline constexpr std::uint32_t failures_until_rewind = 3;
/// Held streams that are looked at for one whose lane is free.
inline constexpr std::size_t max_probe_candidates = 64;

/// Carries out what each stream's stream_hold says. Not synchronised.
class held_streams {
 public:
  held_streams(publisher_context& context, publisher_streams& streams, sink_health& health,
               publisher_lanes& lanes)
      : context_(context), streams_(streams), health_(health), lanes_(lanes) {}

  // -- trying them --------------------------------------------------------------------------------

  /// The stream is held and may have events: it is tried when that is due.
  void enqueue(publisher_stream& of) { queue_.emplace(of.hold.due_ms(), &of); }
  void drop(publisher_stream& of) { queue_.erase({of.hold.due_ms(), &of}); }
  /// Sends a small batch of one that is due, or wakes the actor then. One at a time, and within a
  /// tenth of the time: what is spent here another stream may miss.
  void send_probe();
  /// A batch of the stream came back. True if it was such a probe.
  bool end_probe(const publisher_stream* of);
  /// A drain has begun: from now on they are tried more often.
  void hurry();

  // -- holding and letting go ---------------------------------------------------------------------

  /// Nothing of a batch of the stream was taken.
  void hold_back(publisher_stream& of, const delivery& outcome, bool was_probe);
  /// The sink took an event of it.
  void release(publisher_stream& of);
  /// A hold that lasts keeps no memory: what was read is read again.
  void shrink(publisher_stream& of);

  // -- what is told -------------------------------------------------------------------------------

  /// Then the sink as good as takes nothing. A stream that it takes may have no events just now.
  bool are_all_held() const;
  /// Adds to the lags what is held and why. They are those of all streams, in their order.
  void tell(std::vector<sink_lag>& lags) const;
  /// Once a second: says how many were not told one by one.
  void tell_rest();

 private:
  bool send_probe(publisher_stream& of);

  publisher_context& context_;
  publisher_streams& streams_;
  sink_health& health_;
  publisher_lanes& lanes_;
  std::set<std::pair<std::int64_t, publisher_stream*>> queue_; // by when they are due
  probe_budget budget_;
  publisher_stream* probed_ = nullptr; // of budget_'s try that is under way
  std::size_t told_ = 0;               // since tell_rest()
};

} // namespace penstock
