// What the keepers of dead letters and replays count.
#pragma once

#include "actors/base/metrics.hpp"
#include "storage/stores/dead_letter_store.hpp"

#include <mutex>
#include <utility>
#include <vector>

namespace penstock {

/// The dead-letters actor's.
struct alignas(64) dead_letter_metrics {
  counter stored;         ///< letters made durable
  counter store_failures; ///< requests to keep some that failed; the lane that asked stalls
  counter retried;        ///< letters that a retry delivered
  counter refused_again;  ///< letters that a retry could not deliver
  gauge bytes;            ///< of all letters, as they count for the cap

  /// Replaced by the actor within dead_letters_publish_interval of a change; read by any thread.
  void publish(std::vector<dead_letter_tally> tallies) {
    const std::lock_guard hold{mutex_};
    tallies_ = std::move(tallies);
  }
  std::vector<dead_letter_tally> tallies() const {
    const std::lock_guard hold{mutex_};
    return tallies_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<dead_letter_tally> tallies_;
};

/// The replay actor's.
struct alignas(64) replay_metrics {
  counter sent;    ///< events that a sink confirmed
  counter refused; ///< that it refused for good
  gauge running;   ///< jobs
};

} // namespace penstock
