// When the queue's cursors are saved, who waits for that, and what the keeper of retention is told.
#pragma once

#include "actors/queue/queue_context.hpp"
#include "actors/queue/queue_messages.hpp"
#include "actors/queue/queue_stream.hpp"
#include "actors/queue/queue_streams.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace penstock {

/// Cursors are saved this long after the last save at the earliest, so that many acknowledgements
/// share one transaction; `max_acks_unsaved` of them are not kept waiting.
inline constexpr std::chrono::milliseconds cursor_save_interval{10};
inline constexpr std::size_t max_acks_unsaved = 4096;
/// After a failed save the next is tried this much later.
inline constexpr std::chrono::milliseconds cursor_retry_interval{1000};

/// Not synchronised; blocks on the disk.
class acknowledgements {
 public:
  acknowledgements(queue_context& context, queue_streams& streams)
      : context_(context), streams_(streams) {}

  /// Something of the stream was acknowledged: its cursor will be saved.
  void note_moved(queue_stream& of) {
    of.dirty = true;
    is_dirty_ = true;
  }
  /// The same, of a consumer, who is answered when it is durable.
  void add(queue_stream& of, caf::response_promise promise, queue_receipts_done done);
  /// Some cursors are not saved.
  bool is_dirty() const { return is_dirty_; }
  /// Saves what moved, or wakes the actor when it may.
  void save_if_due();
  void save();
  /// Tells up to where no stream needs the journal any more, if that moved. `durable`: of all
  /// streams, also those that are not kept.
  void tell_keeper(std::uint64_t durable);

 private:
  struct unsaved_ack {
    caf::response_promise promise;
    queue_receipts_done done;
  };

  queue_context& context_;
  queue_streams& streams_;
  std::vector<unsaved_ack> unsaved_;
  std::size_t unsaved_receipts_ = 0;
  bool is_dirty_ = false; // some stream is
  bool has_failed_ = false;
  std::int64_t next_ms_ = 0;
  std::uint64_t told_confirmed_ = 0;
};

} // namespace penstock
