// Whether one stream of a sink may be sent to, and how much of the lanes' time those get that may
// not.
#pragma once

#include "actors/delivery/sink.hpp"
#include "storage/base/assert.hpp"

#include <cstdint>

namespace penstock {

/// A stream's own breaker. A failure that is the stream's holds it at once; one that may be the
/// sink's holds it when it comes again while the sink takes events of other streams. A held stream
/// is tried with a small batch now and then; the first event that is taken releases it. Pure: time
/// and chance are arguments.
class stream_hold {
 public:
  struct rules {
    std::int64_t retry_min_ms = 100;
    std::int64_t retry_max_ms = 30'000;
    std::int64_t missing_after_ms = 600'000; ///< 0: for ever
  };
  /// Failures in a row, of no known scope, while the sink took events of others.
  static constexpr std::uint32_t max_blamed = 2;

  stream_hold() = default;
  explicit stream_hold(const rules& by) : rules_{by} {}

  bool is_held() const { return held_; }
  /// When the next try is due; of a held one.
  std::int64_t due_ms() const { return due_ms_; }
  /// Failures in a row since it is held.
  std::uint32_t failures() const { return failures_; }
  failure_scope scope() const { return scope_; }
  /// How long its target has been missing, as far as the sink said so.
  std::int64_t missing_ms() const { return missing_ms_; }
  /// Its target has been missing for too long: what waits for it is a dead letter.
  bool is_lapsed() const {
    return held_ && scope_ == failure_scope::missing && rules_.missing_after_ms > 0 &&
           last_missing_ms_ != no_time && missing_ms_ >= rules_.missing_after_ms;
  }

  /// Nothing of a batch was taken. `taken_of_others`: a number that grows when the sink takes an
  /// event of another stream. `pause_ms`: what the sink asked for. True if this held the stream.
  bool on_failure(failure_scope scope, std::int64_t now_ms, std::int64_t pause_ms,
                  std::uint64_t taken_of_others, double random);
  /// The sink took an event. True if the stream was held.
  bool on_success();
  /// From now on no pause is longer than this, nor is the present one.
  void hurry(std::int64_t now_ms, std::int64_t max_pause_ms);

 private:
  static constexpr std::int64_t no_time = -1;
  void note_missing(failure_scope scope, std::int64_t now_ms);

  rules rules_;
  bool held_ = false;
  failure_scope scope_ = failure_scope::sink;
  std::uint32_t failures_ = 0;
  std::uint32_t blamed_ = 0;
  std::uint64_t others_at_failure_ = 0;
  std::int64_t due_ms_ = 0;
  std::int64_t missing_ms_ = 0;
  std::int64_t last_missing_ms_ = no_time; // when the last failure was another one
};

/// What held streams may take of the lanes that all streams share: one lane at a time, and a tenth
/// of the time. Pure.
class probe_budget {
 public:
  /// After a try that took so long, none begins for this many times as long.
  static constexpr std::int64_t rest_factor = 9;

  bool is_busy() const { return sent_ms_ >= 0; }
  bool allows(std::int64_t now_ms) const { return !is_busy() && now_ms >= next_ms_; }
  std::int64_t next_ms() const { return next_ms_; }
  void on_sent(std::int64_t now_ms) {
    PENSTOCK_ASSERT(!is_busy());
    sent_ms_ = now_ms;
  }
  void on_done(std::int64_t now_ms) {
    PENSTOCK_ASSERT(is_busy());
    next_ms_ = now_ms + rest_factor * (now_ms - sent_ms_);
    sent_ms_ = -1;
  }

 private:
  std::int64_t sent_ms_ = -1;
  std::int64_t next_ms_ = 0;
};

} // namespace penstock
