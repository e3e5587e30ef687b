// Whether a sink may be sent to: a circuit breaker for all its lanes.
#pragma once

#include <cstdint>

namespace penstock {

/// Closed: every lane sends. After `max_failures` batches in a row of which nothing was taken, by
/// whatever lane, it opens: nobody sends until a pause is over, then one lane sends a probe
/// (Nygard, Release It!, "Circuit Breaker"). A probe that gets through closes it; one that fails
/// makes the next pause longer. Pure: time and chance are arguments.
class sink_breaker {
 public:
  static constexpr std::uint32_t max_failures = 5;
  /// Events in a probe: few, since it will probably fail.
  static constexpr std::uint32_t probe_events = 10;

  sink_breaker(std::int64_t retry_min_ms, std::int64_t retry_max_ms)
      : retry_min_ms_{retry_min_ms}, retry_max_ms_{retry_max_ms} {}

  bool is_open() const { return failures_ >= max_failures; }
  /// How many events a batch may have now; 0: none may be sent.
  std::uint32_t allowance(std::int64_t now_ms) const;
  /// When a probe is due; only while open and none is under way.
  std::int64_t probe_ms() const { return not_before_ms_; }
  bool probing() const { return probing_; }

  /// From now on no pause is longer than this, nor is the present one.
  void hurry(std::int64_t now_ms, std::int64_t max_pause_ms);

  void on_sent() { probing_ = is_open(); }
  /// What was sent says nothing of the sink after all.
  void on_nothing() { probing_ = false; }
  /// The sink took an event, or refused one for what it is: it is there. True if it was open.
  bool on_success();
  /// True if this opened it.
  bool on_failure(std::int64_t now_ms, double random);

 private:
  std::int64_t retry_min_ms_;
  std::int64_t retry_max_ms_;
  std::uint32_t failures_ = 0;
  std::int64_t not_before_ms_ = 0;
  bool probing_ = false;
};

} // namespace penstock
