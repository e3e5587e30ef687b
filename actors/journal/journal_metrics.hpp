// What the journal actor counts.
#pragma once

#include "actors/base/metrics.hpp"
#include "actors/journal/space_book.hpp"

#include <mutex>
#include <utility>

namespace penstock {

/// The journal actor's.
struct alignas(64) journal_metrics {
  counter commits;
  counter events;
  counter appended_bytes;          ///< bodies made durable
  counter failures;                ///< transactions that were rolled back
  latency_histogram fsync_us;      ///< one commit, until its data is on the disk
  group_size_histogram group_size; ///< events in one commit
  gauge durable_seq;
  gauge bytes;              ///< of all segment files
  gauge failed;             ///< 1 while nothing can be stored
  gauge scarce;             ///< 1 while expendable streams are refused
  gauge full;               ///< 1 while the cap or the disk refuses more
  gauge damaged;            ///< segments set aside or cut short at this start
  gauge unconfigured_bytes; ///< held by the streams that are not configured, together
  gauge unconfigured_full;  ///< 1 while nothing more of them is taken
  gauge damaged_stores;     ///< damage to the stores beside the journal that this start found
  gauge queued_batches;     ///< waiting for a commit
  counter messages;         ///< batches taken from the mailbox

  /// Replaced by the journal actor when it changes; read by any thread.
  void publish_refused(refused_streams_ptr which) {
    const std::lock_guard hold{mutex_};
    refused_ = std::move(which);
  }
  /// Streams that hold as much as they may; null: none.
  refused_streams_ptr refused() const {
    const std::lock_guard hold{mutex_};
    return refused_;
  }

 private:
  mutable std::mutex mutex_;
  refused_streams_ptr refused_;
};

} // namespace penstock
