// The journal: a node's durable log of accepted events, in SQLite segments. This is the writer.
#pragma once

#include "storage/base/result.hpp"
#include "storage/events/event_block.hpp"
#include "storage/journal/segment_catalog.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace penstock {

struct journal_options {
  std::filesystem::path dir;                       ///< made if missing, mode 0700
  std::uint64_t max_bytes = 10ull << 30;           ///< cap over all segment files
  std::uint64_t segment_max_bytes = 64ull << 20;   ///< a segment is sealed at about this size
  std::uint64_t max_unjournaled_events = 1u << 20; ///< ids skipped at start, see next_seq()
  /// Take a segment's blocks from the disk before it is filled, where there is plenty of room.
  bool preallocate = true;
  std::string vfs;  ///< SQLite VFS to use; empty: ours
  bool sync = true; ///< false only to show that a test notices
};

/// What opening a journal found; logged by the node and shown by its status.
struct recovery_report {
  std::size_t segments = 0;
  std::uint64_t events = 0;
  std::uint64_t bytes = 0;
  std::vector<std::string> damaged; ///< one clear sentence for each segment set aside or cut short
  /// The same for a last transaction that can't be read: torn by a power cut, or damaged.
  std::vector<std::string> torn;
};

/// Appends blocks in transactions. One thread uses it at a time; it blocks on the disk. Readers
/// work beside it through the catalog.
class journal {
 public:
  /// Opens or makes the directory, locks it against other processes (errc::locked), recovers
  /// what a crash left, and sets damaged segments aside. errc::newer if a newer program wrote a
  /// segment: then nothing is moved or changed.
  static result<std::unique_ptr<journal>> open(const journal_options& options,
                                               recovery_report* report = nullptr);
  virtual ~journal() = default;

  /// The tag in every event id of this directory; journal_tag_size characters.
  virtual const std::string& tag() const = 0;

  /// The first sequence number that was never given to anyone. After a restart it lies at least
  /// `max_unjournaled_events` past the last durable one, because ids beyond that one may have been
  /// promised in memory (ack = "received") and must not be given again.
  virtual std::uint64_t next_seq() const = 0;

  /// Durably skips all ids up to `seq`, and so many that nobody has reached yet, as when it is not
  /// known which were given; next_seq() is then beyond. Before the first block.
  virtual result<void> go_beyond(std::uint64_t seq) = 0;

  /// Adds a block to the open transaction, beginning one if need be. Its first_seq must lie past
  /// every earlier one. On an error the whole transaction is rolled back: nothing since the last
  /// commit() is kept. Errors: journal_full, disk_full, io.
  virtual result<void> append(const event_block& block) = 0;

  /// Makes everything appended since the last commit durable (fsync) and visible to readers.
  /// On an error nothing of it is kept. Errors: disk_full, io.
  virtual result<void> commit() = 0;

  /// Microseconds that the last commit() spent until its data was on the disk.
  virtual std::uint64_t last_commit_us() const = 0;

  /// True when the active segment has reached its size; the owner then calls rotate() after a
  /// commit. Cheap when a segment was prepared ahead (see segment_keeper).
  virtual bool wants_rotation() const = 0;
  virtual result<void> rotate() = 0;

  /// Total bytes of all segment files, and whether the cap leaves room for another block.
  virtual std::uint64_t bytes() const = 0;
  virtual bool full() const = 0;
  /// bytes() without what is allocated ahead, in the active segment or for the next ones.
  virtual std::uint64_t used_bytes() const = 0;

  /// errc::io when the file that is written is not the one that is there: the directory was
  /// removed, moved or unmounted below the process. From then on append() and commit() fail
  /// likewise, and roll back, until a check finds the file again. Two calls of stat(2).
  virtual result<void> check_place() = 0;

  /// Seals nothing, syncs what is open and closes. Called by a drain; the destructor just closes.
  virtual result<void> close() = 0;

  virtual std::shared_ptr<segment_catalog> catalog() const = 0;
};

} // namespace penstock
