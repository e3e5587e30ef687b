// What was sent to a holder of replicas and is not known to be held.
#pragma once

#include "storage/base/assert.hpp"

#include <caf/actor_clock.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>

namespace penstock {

/// In the order of numbers. Whoever sends bounds it by bytes(). Not synchronised.
class rows_under_way {
 public:
  using time_point = caf::actor_clock::time_point;

  bool is_empty() const { return batches_.empty(); }
  /// Of the bodies.
  std::size_t bytes() const { return bytes_; }
  std::uint64_t events() const { return events_; }
  /// When the oldest was sent; there is one.
  time_point oldest() const { return batches_.front().sent_at; }

  /// Rows up to `last_seq`, all of which lie behind those before.
  void add(std::uint64_t last_seq, std::size_t bytes, std::uint64_t events, time_point now) {
    PENSTOCK_ASSERT(batches_.empty() || batches_.back().last_seq <= last_seq);
    batches_.push_back({last_seq, bytes, events, now});
    bytes_ += bytes;
    events_ += events;
  }
  /// All up to there is held. True if that is news: some of it was under way.
  bool drop_until(std::uint64_t held_seq) {
    const auto before = batches_.size();
    while (!batches_.empty() && batches_.front().last_seq <= held_seq) {
      PENSTOCK_ASSERT(bytes_ >= batches_.front().bytes);
      PENSTOCK_ASSERT(events_ >= batches_.front().events);
      bytes_ -= batches_.front().bytes;
      events_ -= batches_.front().events;
      batches_.pop_front();
    }
    return batches_.size() < before;
  }
  void clear() {
    batches_.clear();
    bytes_ = 0;
    events_ = 0;
  }

 private:
  struct batch {
    std::uint64_t last_seq = 0;
    std::size_t bytes = 0;
    std::uint64_t events = 0;
    time_point sent_at{};
  };
  std::deque<batch> batches_;
  std::size_t bytes_ = 0;
  std::uint64_t events_ = 0;
};

} // namespace penstock
