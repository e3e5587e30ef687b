// What is known of a sink as a whole: whether it may be sent to, how it does, and its last error.
#pragma once

#include "actors/delivery/publisher_context.hpp"
#include "actors/delivery/sink_breaker.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace penstock {

/// What is told of it (sink_state; the breaker decides when to send, and is drawn in its header):
///
///   ok <──────────> retrying        a batch was not taken, wholly or in part; taken
///    ^                 │ ^
///    │                 v │
///    └─────────────── open          nothing is taken, of any stream
///
/// Not synchronised.
class sink_health {
 public:
  explicit sink_health(const publisher_context& context) : context_(context) {}

  /// Once the context has its rules.
  void start() {
    breaker_ = sink_breaker{context_.rules.retry_min_ms, context_.rules.retry_max_ms};
  }

  sink_breaker& breaker() { return breaker_; }
  const sink_breaker& breaker() const { return breaker_; }
  /// Events that the sink took, of all streams.
  std::uint64_t taken() const { return taken_; }
  void note_taken(std::uint64_t events) { taken_ += events; }

  /// What a batch says of the last error; `taken` and `refused` are how many of its events were.
  void note_error(const delivery& outcome, std::uint64_t taken, std::uint64_t refused);
  sink_state state() const { return state_; }
  /// Logs the change. True if it matters so much that the status is to be published now.
  bool change_state(sink_state to);
  void publish(std::vector<sink_lag> lags) const {
    context_.parts.metrics->publish(state_, last_error_, last_error_ms_, std::move(lags));
  }

 private:
  const publisher_context& context_;
  sink_breaker breaker_{0, 0};
  std::uint64_t taken_ = 0;
  sink_state state_ = sink_state::ok;
  std::string last_error_;
  std::int64_t last_error_ms_ = 0;  // wall clock
  std::int64_t quiet_until_ms_ = 0; // of single failures, which may come and go; wall clock
};

} // namespace penstock
