// Which segments exist: shared by the writer, the readers and the one who retires them.
#pragma once

#include "storage/events/event_block.hpp"

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace penstock {

/// One segment. `events` counts per stream, so that depth needs no scan of sealed segments.
struct segment_info {
  std::uint64_t number = 0;
  std::filesystem::path path{}; ///< the .db file; its WAL lies beside it
  std::uint64_t first_seq = 0;  ///< of the first event, 0 while empty
  std::uint64_t last_seq = 0;   ///< of the last durable event
  std::int64_t first_time_ms = 0;
  std::int64_t last_time_ms = 0;
  std::uint64_t bytes = 0;
  /// Of its log, when it was made; 0 where an earlier version did not note it.
  std::uint64_t log_bytes = 0;
  bool sealed = false;
  bool damaged = false; ///< readable only in part; set aside, not unlinked, when done
  std::map<std::string, std::uint64_t> events{};
  /// Of their bodies, likewise. Of segments whose seal does not tell them, an estimate by the
  /// size of the file.
  std::map<std::string, std::uint64_t> body_bytes{};
  std::uint64_t keys = 0; ///< idempotency records; after a restart at least as many
  /// Other than that of a segment which had this number before it; see end_move().
  std::uint64_t generation = 0;
};

/// What one commit added to the active segment.
struct segment_growth {
  std::uint64_t first_seq = 0; ///< of the first event of this commit
  std::uint64_t last_seq = 0;
  std::int64_t first_time_ms = 0;
  std::int64_t last_time_ms = 0;
  std::uint64_t bytes = 0;                                 ///< the segment's size now
  std::vector<std::pair<std::string, event_volume>> added; ///< by stream
  std::uint64_t keys = 0;                                  ///< idempotency records added
};

/// Events of one stream made durable since `number` was given to it. The catalog forgets a stream
/// that is in no segment any more; if it comes back it has another number and counts from 0. 0: it
/// is not there.
struct appended_count {
  event_volume volume;
  std::uint64_t number = 0;
  bool operator==(const appended_count&) const = default;
};

/// What was appended of a stream, and what was durable at that moment.
struct appended_at {
  appended_count appended;
  std::uint64_t durable_seq = 0;
};

/// All segments, and what was durable at that moment.
struct segments_at {
  std::vector<segment_info> segments;
  std::uint64_t durable_seq = 0;
};

/// The last segment that has events of a stream, and how many: it changes with each new event.
using newest_events = std::pair<std::uint64_t, std::uint64_t>;
/// Of all streams that are in some segment.
std::map<std::string, newest_events> newest_of(const std::vector<segment_info>& segments);

/// Thread-safe; used once a commit or less often, never once a request.
class segment_catalog {
 public:
  std::vector<segment_info> list() const;
  segments_at snapshot() const;
  /// The first segment that may hold an event of sequence >= seq.
  std::optional<segment_info> find(std::uint64_t seq) const;
  std::optional<segment_info> get(std::uint64_t number) const;
  /// The last durable sequence number; 0 when nothing was ever committed.
  std::uint64_t durable_seq() const;
  /// Events of one stream in all segments, and the streams that have any.
  std::uint64_t events_of(const std::string& stream) const;
  /// Under one number it only ever grows, so that a reader which counted once need not count again.
  appended_count appended_count_of(const std::string& stream) const;
  appended_at appended_now(const std::string& stream) const;
  std::vector<std::string> streams() const;
  std::uint64_t bytes() const;

  // For the writer and the keeper.
  void put(segment_info info);
  void extend(std::uint64_t number, const segment_growth& growth);
  /// False when a reader holds the segment open: then its files may be unlinked, which the reader
  /// does not notice, but never used again for something else.
  bool remove(std::uint64_t number);

  /// Keeps readers from opening these segments until end_move(): their files are about to be
  /// replaced. Those that have one open do not notice. Waits for who is about to open one. False
  /// when one is gone.
  bool begin_move(const std::vector<std::uint64_t>& numbers);
  /// Takes `moved` in the place of the first of them, and nothing in that of the others.
  void end_move(const std::vector<std::uint64_t>& numbers, segment_info moved);
  /// How often events were moved. What counted those of several segments counts again when it has
  /// changed.
  std::uint64_t moves() const;

  // For readers: a pin lasts while the segment is open. Gives what is to be opened now, then
  // end_open() must be called; nothing when it has been retired, or its events were moved to
  // another. Waits while its files are replaced.
  std::optional<segment_info> pin(std::uint64_t number);
  void end_open(std::uint64_t number);
  void unpin(std::uint64_t number);

 private:
  void forget_absent(const std::map<std::string, std::uint64_t>& streams);

  mutable std::mutex mutex_;
  std::map<std::uint64_t, segment_info> segments_;
  std::map<std::uint64_t, std::size_t> pins_;
  std::map<std::uint64_t, std::size_t> opening_;
  std::set<std::uint64_t> moving_;
  std::uint64_t moves_ = 0;
  std::condition_variable may_go_on_; // of moving_ and opening_
  std::map<std::string, appended_count> appended_;
  std::uint64_t next_number_ = 1;
  std::uint64_t durable_seq_ = 0; // outlives the retirement of the segment that held it
};

} // namespace penstock
