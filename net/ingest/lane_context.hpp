// What all parts of one front end share: its thread, its node, its ledger, its clock.
#pragma once

#include "actors/base/node_state.hpp"
#include "net/http/front_end_metrics.hpp"
#include "net/http/lane_memory.hpp"
#include "net/interfaces/interfaces.hpp"
#include "net/loop/event_loop.hpp"

#include <cstdint>
#include <functional>
#include <utility>

namespace penstock {

/// One a front end, which owns it; its parts refer to it. Used by the loop's thread only.
class lane_context {
 public:
  /// `self`: in whose name the parts send. `read_wall_ms`: milliseconds since 1970.
  lane_context(event_loop& lane_loop, node_state& lane_node, front_end_metrics& lane_metrics,
               ingest_handle::pointer lane_self, std::uint64_t max_in_flight_bytes,
               std::function<std::int64_t()> read_wall_ms)
      : loop(lane_loop), node(lane_node), metrics(lane_metrics), self(lane_self),
        memory(max_in_flight_bytes, lane_metrics), read_wall_ms_(std::move(read_wall_ms)) {}
  lane_context(const lane_context&) = delete;
  lane_context& operator=(const lane_context&) = delete;

  event_loop& loop;
  node_state& node;
  front_end_metrics& metrics;
  const ingest_handle::pointer self;
  lane_memory memory;
  bool draining = false;

  /// The actor that answers come to.
  front_end_handle address() const { return self; }

  /// The wall clock of this turn; it is read at most once a turn.
  std::int64_t wall_time_ms() {
    if (time_at_ns_ != loop.now_ns()) {
      time_ms_ = read_wall_ms_();
      time_at_ns_ = loop.now_ns();
    }
    return time_ms_;
  }

  /// A number for a question, by which its answer is known again: no two of a front end's are
  /// equal.
  std::uint64_t take_token() { return next_token_++; }
  /// The number that is taken next.
  std::uint64_t next_token() const { return next_token_; }

  /// Shows what requests and waits hold together.
  void show_in_flight() {
    metrics.in_flight_bytes.set(static_cast<std::int64_t>(memory.of(memory_part::requests) +
                                                          memory.of(memory_part::waits)));
  }

 private:
  std::function<std::int64_t()> read_wall_ms_;
  std::int64_t time_ms_ = 0;     // wall clock of the turn that began at…
  std::int64_t time_at_ns_ = -1; // …this steady time
  std::uint64_t next_token_ = 1;
};

} // namespace penstock
