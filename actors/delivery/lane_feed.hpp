// The events of one stream that one lane of a sink has yet to deliver: what goes next, and when.
#pragma once

#include "actors/delivery/delivery_settings.hpp"
#include "actors/delivery/sink.hpp"
#include "storage/base/assert.hpp"

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace penstock {

/// How a lane makes batches; from the configuration and the sink's traits.
struct batch_rules {
  std::uint32_t max_events = 1000;
  std::uint64_t max_bytes = 1u << 20; ///< of bodies; one event may exceed it
  bool one_per_client = false;        ///< see sink_traits::breaks_batches
  bool in_order = false;              ///< see sink_traits
  std::int64_t linger_ms = 5;
  std::int64_t retry_min_ms = 100;
  std::int64_t retry_max_ms = 30'000;
  std::uint32_t max_tries = 5;
};
/// `max_batch_bytes`: of a batch whose size is the kind's own.
batch_rules rules_for(const delivery_settings& settings, const sink_traits& traits,
                      std::uint64_t max_batch_bytes = ~0ull);

/// The pause before try number `failures` + 1: exponential, with "full jitter" (Brooker,
/// Exponential Backoff And Jitter, AWS 2015) over its upper half, so that lanes do not return in
/// step and none returns at once. `random` lies in [0, 1).
std::int64_t retry_pause_ms(std::uint32_t failures, std::int64_t min_ms, std::int64_t max_ms,
                            double random);

/// How far a batch looks for events of further clients, in batches, where it may have only one of
/// each.
inline constexpr std::size_t max_look_ahead_batches = 8;

/// Pure: time and chance are arguments. Events come in the order of their sequence numbers. At most
/// one batch is under way. Those that failed go first again; one that is refused `max_tries` times
/// is dead, and so is one that fails alone as often while the sink takes others in between.
class lane_feed {
 public:
  /// An event that will not be tried again.
  struct dead_event {
    outgoing_event event;
    std::uint32_t ref = 0;
    std::uint32_t tries = 0;
    std::string reason;
  };
  struct done_event {
    std::uint32_t ref = 0;
    std::uint32_t bytes = 0; ///< of its body
  };
  /// What a batch's outcome changed.
  struct settlement {
    std::vector<done_event> delivered;
    std::vector<dead_event> dead; ///< to be told by bury_done() when they are kept
  };

  /// What an event takes here, beside its block.
  static constexpr std::size_t bytes_per_event = 96;
  /// How many events, and bytes of their bodies, may become dead letters at once.
  struct dead_letter_room {
    std::size_t events = 0;
    std::size_t bytes = 0; ///< one event may exceed it
  };

  explicit lane_feed(const batch_rules& rules) : rules_{rules} {}

  /// `ref`: the caller's own name for the event.
  void add(outgoing_event event, std::uint32_t ref, std::int64_t now_ms);

  bool idle() const { return in_flight_.empty(); }
  bool has_waiting() const { return waiting_ > 0; }
  /// No batch is under way, and no dead event waits to be kept elsewhere.
  bool is_at_rest() const { return idle() && waiting_ + done_ahead_ == entries_.size(); }
  /// When the next batch is due; nothing while one is under way or nothing waits.
  std::optional<std::int64_t> due_ms() const;
  /// The next batch, of at most `max_events`; it is under way until settle().
  std::vector<outgoing_event> take(std::uint32_t max_events);
  /// How many of the last batch's events had been in one before.
  std::size_t repeats() const { return repeats_; }
  /// `sink_deliveries`: a number that grows whenever the sink takes anything of the stream, by any
  /// lane. (Of the stream: another one may have a topic that this one lacks.)
  settlement settle(const delivery& outcome, std::int64_t now_ms, std::uint64_t sink_deliveries,
                    double random);
  /// Gives up the events that wait, up to `last_seq` and as far as there is room; `room` is what is
  /// left then.
  std::vector<dead_event> condemn(std::uint64_t last_seq, dead_letter_room& room,
                                  const std::string& reason);
  /// A dead event is kept elsewhere now. Nothing if there is none of that number.
  std::optional<done_event> dead_letter_done(std::uint64_t seq);

  /// The first event that is neither delivered nor stored as a dead letter.
  std::optional<std::uint64_t> first_open_seq() const;
  std::optional<std::int64_t> oldest_time_ms() const;
  /// The first event that waits: its number, and when it was accepted.
  std::optional<std::pair<std::uint64_t, std::int64_t>> next_waiting() const;
  std::size_t open() const {
    PENSTOCK_ASSERT(done_ahead_ <= entries_.size());
    return entries_.size() - done_ahead_;
  }
  /// Ranges behind the first open event in which all of this lane's events are done.
  std::vector<std::pair<std::uint64_t, std::uint64_t>> done_ahead(std::size_t max_ranges) const;
  /// Failures in a row, for status.
  std::uint32_t failures() const { return failures_; }
  /// Forgets the pause after failures: the sink is back.
  void retry_now(std::int64_t now_ms);

 private:
  enum class phase : std::uint8_t { waiting, in_flight, storing, done };
  struct entry {
    outgoing_event event; // without its block once it is done
    std::uint64_t seq = 0;
    std::uint32_t ref = 0;
    std::uint32_t tries = 0;
    std::int64_t added_ms = 0;
    std::uint64_t deliveries_at_try = 0;
    phase at = phase::waiting;
    bool was_taken = false;
    bool failed_alone = false;
  };

  entry& of(std::uint64_t number) {
    PENSTOCK_ASSERT(number >= popped_ && number - popped_ < entries_.size());
    return entries_[number - popped_];
  }
  void back_to_wait(entry& one);
  void finish(entry& one);
  static done_event done_of(const entry& one);
  void pop_done();
  void note_failure(const delivery& outcome, std::int64_t now_ms, double random);
  bool is_to_blame(entry& one, std::uint64_t sink_deliveries);
  const entry* first_waiting() const;

  batch_rules rules_;
  std::deque<entry> entries_; // the first is open
  std::uint64_t popped_ = 0;  // entries number popped_ … popped_ + entries_.size() - 1
  std::vector<std::uint64_t> in_flight_;
  std::size_t waiting_ = 0;
  std::uint64_t waiting_bytes_ = 0;
  std::size_t done_ahead_ = 0;
  std::size_t repeats_ = 0;
  std::uint32_t failures_ = 0;
  std::uint32_t batch_limit_ = ~0u; // halved while batches fail as a whole, to find a bad event
  bool step_aside_ = false;         // next time try another client than that of the first event
  std::int64_t not_before_ms_ = 0;
};

} // namespace penstock
