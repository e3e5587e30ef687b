// What the embedded queue counts, and tells of its streams.
#pragma once

#include "actors/base/metrics.hpp"

#include <cstdint>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace penstock {

/// What the queue tells of one stream.
struct queue_stats {
  std::string stream;
  std::uint64_t depth = 0;     ///< events not yet acknowledged, in flight ones included
  std::uint64_t in_flight = 0; ///< under a lease
  std::int64_t oldest_ms = 0;  ///< age of the oldest event not acknowledged; 0 when there is none
  std::uint64_t bytes = 0;     ///< of the bodies and attributes of those that make up the depth
  std::uint64_t expired = 0;   ///< events let go since the start, as the stream held too much
};

/// The queue actor's.
struct alignas(64) queue_metrics {
  counter delivered;   ///< messages handed out, repeats included
  counter redelivered; ///< repeats
  counter acked;
  counter nacked;
  counter stale;   ///< receipts refused: their event went to another consumer since
  counter expired; ///< events let go, as their stream held too much
  counter cursor_saves;
  counter cursor_failures;
  gauge waiters;       ///< receives held open
  gauge confirmed_seq; ///< what the keeper was told

  /// Replaced about once a second by the queue actor; read by any thread.
  void publish(std::vector<queue_stats> streams) {
    const std::lock_guard hold{mutex_};
    streams_ = std::move(streams);
  }
  std::vector<queue_stats> streams() const {
    const std::lock_guard hold{mutex_};
    return streams_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<queue_stats> streams_;
};

} // namespace penstock
