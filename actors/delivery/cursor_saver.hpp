// When a publisher's cursors are saved, and what it tells the keeper of retention.
#pragma once

#include "actors/delivery/publisher_context.hpp"
#include "actors/delivery/publisher_streams.hpp"

#include <chrono>
#include <cstdint>

namespace penstock {

/// Cursors are saved this often at most: after a crash what was delivered since comes again, and a
/// save is an fsync.
inline constexpr std::chrono::milliseconds publisher_save_interval{100};
/// After a failed save the next try is this much later.
inline constexpr std::chrono::milliseconds publisher_retry_interval{1000};

/// Not synchronised; blocks on the disk.
class cursor_saver {
 public:
  cursor_saver(publisher_context& context, publisher_streams& streams)
      : context_(context), streams_(streams) {}

  /// The stream's cursors moved: they will be saved.
  void note_moved(publisher_stream& of) {
    of.dirty = true;
    is_dirty_ = true;
  }
  /// Some cursors are not saved.
  bool is_dirty() const { return is_dirty_; }
  /// Saves what moved, or wakes the actor when it may.
  void save_if_due();
  void save();
  /// Tells up to where no stream needs the journal any more, if that moved. `durable`: of all
  /// streams, also those that are not kept.
  void tell_keeper(std::uint64_t durable);

 private:
  publisher_context& context_;
  publisher_streams& streams_;
  bool is_dirty_ = false; // some stream is
  bool has_failed_ = false;
  std::int64_t next_ms_ = 0;
  std::uint64_t told_confirmed_ = 0;
};

} // namespace penstock
