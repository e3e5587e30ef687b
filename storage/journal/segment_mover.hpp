// Moves what little nearly empty segments still owe into one small segment in their place.
#pragma once

#include "storage/base/file_list.hpp"
#include "storage/journal/backlog_events.hpp"
#include "storage/journal/journal_reader.hpp"
#include "storage/journal/segment_catalog.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace penstock {

/// What a segment takes that holds next to nothing.
inline constexpr std::uint64_t least_segment_bytes = 64u << 10;

/// Counts what is owed in one segment, in bytes of its rows, by reading the streams of which some
/// is. Stops when it is more than `enough`. errc::corrupt where a row can't be read.
result<std::uint64_t> measure_backlog(journal_reader& reader, const segment_info& segment,
                                      const backlog_events& backlog, std::uint64_t enough);

/// A move has two steps. make() writes what is owed into `NUMBER.db.moved`, which nobody reads yet;
/// it counts once it is sealed. finish() unlinks the segments that it takes the place of, and gives
/// it the name of the first. A crash in between is gone on with by finish_moves(). Events keep
/// their numbers, and since only neighbours are moved together, their order. One thread uses a
/// mover; it blocks on the disk.
class segment_mover {
 public:
  /// `from`: neighbours in the journal, sealed, in their order.
  struct move {
    std::vector<segment_info> from;
    segment_info to;
  };

  /// `listed`: the names of segments that must be there.
  segment_mover(std::shared_ptr<segment_catalog> catalog, std::shared_ptr<file_list> listed,
                std::string tag, std::string vfs);

  /// Nothing where nothing is owed any more. errc::invalid if it takes more than `max_bytes`. On an
  /// error nothing is left of it.
  result<std::optional<move>> make(std::vector<segment_info> from, const backlog_events& backlog,
                                   std::uint64_t max_bytes);
  /// After an error what is left is completed by the next start, and read until then.
  result<void> finish(const move& what);
  /// Drops a move that was made.
  static void drop(const move& what);

  journal_reader& reader() { return *reader_; }

 private:
  result<void> write_backlog(const move& what, segment_info& to, const backlog_events& backlog,
                             std::uint64_t max_bytes);

  std::shared_ptr<segment_catalog> catalog_;
  std::shared_ptr<file_list> listed_;
  std::string tag_;
  std::string vfs_;
  std::unique_ptr<journal_reader> reader_;
};

/// A move that can't be read any more, after its first segment had gone.
struct lost_move {
  std::uint64_t number = 0; ///< of that segment
  std::string sentence;     ///< ends where it is to be said which events may be lost
};

/// Completes the moves that a crash cut short, and removes those that were not made whole. Before
/// anything else is read. corrupt where one is of another journal: then nothing is moved.
result<void> finish_moves(const std::filesystem::path& dir, const std::string& tag,
                          const std::string& vfs, file_list& listed, std::vector<lost_move>& lost);

} // namespace penstock
