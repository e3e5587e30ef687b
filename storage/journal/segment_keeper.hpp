// Makes the next segment ahead of need and retires old ones, off the commit thread.
#pragma once

#include "storage/journal/idempotency_store.hpp"
#include "storage/journal/journal.hpp"
#include "storage/journal/segment_mover.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace penstock {

/// What is kept of a segment's idempotency records when it goes.
struct record_retention {
  std::shared_ptr<idempotency_store> store; ///< null: nothing
  std::chrono::milliseconds window_ms{0};
  std::size_t max_records = 0;
  std::function<std::int64_t()> wall_ms; ///< milliseconds since the Unix epoch
};

/// Opening and unlinking a segment takes 15 to 100 ms, which no commit should wait for. One
/// thread uses a keeper (not the writer's). The journal takes what it prepared, or makes its own.
class segment_keeper {
 public:
  static std::unique_ptr<segment_keeper> make(journal& owner, const journal_options& options,
                                              record_retention records = {});
  virtual ~segment_keeper() = default;

  /// Prepares a segment if none is waiting. Blocks.
  virtual result<void> prepare() = 0;

  /// Unlinks (or keeps for recycling) every sealed segment that lies wholly at or before
  /// `confirmed_seq` and whose last event is older than `before_time_ms`. Damaged ones are moved
  /// to `damaged/` instead. Needs no free space, but for idempotency records, which are copied
  /// first; a segment whose records can't be is kept, and the others go. Gives the number of
  /// segments retired.
  virtual result<std::size_t> retire(std::uint64_t confirmed_seq, std::int64_t before_time_ms) = 0;

  /// The same for one sealed segment, wherever it lies, of which nothing is owed.
  virtual result<std::size_t> retire_these(const std::vector<segment_info>& segments) = 0;

  /// Counts what is owed in one segment, in bytes of its rows; stops when it is more than `enough`.
  virtual result<std::uint64_t> measure(const segment_info& segment, const backlog_events& backlog,
                                        std::uint64_t enough) = 0;

  /// Puts one small segment, with what is owed, in the place of sealed neighbours; does nothing
  /// where nothing is. errc::invalid if it takes more than `max_bytes`.
  virtual result<void> move(std::vector<segment_info> from, const backlog_events& backlog,
                            std::uint64_t max_bytes) = 0;
  /// Bytes that moves have written so far.
  virtual std::uint64_t moved_bytes() const = 0;
};

} // namespace penstock
