// The next segment, made ahead of need, and the WAL files of retired ones, kept for it.
#pragma once

#include "storage/journal/journal.hpp"
#include "storage/journal/segment.hpp"

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>

namespace penstock {

/// Between the writer, who takes segments, and the keeper, who makes them ahead. Thread-safe; the
/// mutex is held while a segment is made, so a writer that finds none waiting either makes its own
/// or waits for the one that is nearly there.
class segment_supply {
 public:
  /// At most this many WAL files of retired segments are kept.
  static constexpr std::size_t max_spare_wals = 2;

  /// `options`: the journal's, `vfs` among them the one that writers use. Takes over the spare WALs
  /// in the directory.
  segment_supply(journal_options options, std::shared_ptr<const segment_catalog> catalog,
                 std::string tag, std::uint64_t next_number);

  result<void> prepare();
  result<std::unique_ptr<segment_writer>> take();
  /// Returns one that could not be used after all, before another is taken.
  void give_back(std::unique_ptr<segment_writer> unused);

  /// A path for a WAL that retire() wants to keep; empty when there are enough.
  std::filesystem::path place_for_spare();
  /// Readies the file at that path: its header is wiped, so that SQLite takes it for empty.
  void offer_spare(const std::filesystem::path& wal);

  /// Whether blocks may be held that nothing uses yet: only while the journal with them stays under
  /// half its cap, so that they are used up before it is reached, and the disk is not nearly full.
  bool is_roomy_for(std::uint64_t more_bytes) const;

  /// Whether the disk has that much beyond what is kept for cursors, without which nothing can be
  /// let go of.
  bool has_disk_for(std::uint64_t more_bytes) const;

  /// Of the prepared segment, the returned one and the spares.
  std::uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  result<std::unique_ptr<segment_writer>> make_locked();
  void recount_locked();
  std::filesystem::path spare_path(std::size_t i) const;

  const journal_options options_;
  const std::shared_ptr<const segment_catalog> catalog_;
  std::string tag_;
  std::mutex mutex_;
  std::uint64_t next_number_;
  std::unique_ptr<segment_writer> prepared_; // by the keeper
  std::unique_ptr<segment_writer> returned_; // by the writer, who has not taken another since
  std::atomic<std::uint64_t> bytes_{0};
};

} // namespace penstock
