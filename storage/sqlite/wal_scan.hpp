// Looks at a WAL file the way SQLite's own recovery does, to tell a torn end from damage.
#pragma once

#include "storage/base/result.hpp"

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string_view>

namespace penstock {

/// SQLite takes a WAL up to the first frame whose checksum is wrong and forgets the rest in
/// silence. That is right for the end that a crash tore, and a loss where committed frames follow.
struct wal_scan {
  std::uint64_t committed_frames = 0; ///< what SQLite will take
  /// Whole frames behind them, of a transaction that had not got to its commit.
  std::uint64_t uncommitted_frames = 0;
  /// Frames of the same WAL generation past the first bad one, that one included.
  std::uint64_t broken_frames = 0;
  /// Commits of the same WAL generation that lie past the first bad frame. A crash tears at most
  /// the last transaction, so more than one means that acknowledged rows were damaged.
  std::uint64_t commits_beyond = 0;
  std::uint64_t last_frame = 0; ///< of this generation, counted from 1
  bool has_header = false;
  bool has_mark = false; ///< of a log that waits for its use, see mark_unused()
  /// Where the header should be is neither one nor the mark, nor the zeros of earlier versions.
  bool header_damaged = false;
  bool has_other_pages = false; ///< a good header, but pages of another size: nothing else is told
  /// Frames that hold something, in a log that has no header.
  std::uint64_t frames_without_header = 0;
  std::array<unsigned char, 8> salts{}; ///< of this generation, as the header has them

  std::uint64_t used_bytes() const;
  bool damaged() const { return commits_beyond > 1 || header_damaged; }
  /// It ends with a transaction that is not whole: a power cut or a kill came while it was written,
  /// before anyone was told that it is stored; or its commit is damaged. The two look the same.
  bool torn() const {
    return !damaged() &&
           (broken_frames > 0 || uncommitted_frames > 0 || (has_header && committed_frames == 0));
  }
  /// No transaction was begun in it, as far as its header tells. Only then it may be removed.
  bool was_never_used() const { return committed_frames == 0 && !damaged() && !torn(); }
};

/// Durably puts a mark in place of a log's header: no transaction was begun in it. SQLite takes the
/// file for one without frames. The next header has new random salts, which no frame left in the
/// file matches.
result<void> mark_unused(const std::filesystem::path& wal);

/// Zeroes the headers of the frames behind the last commit, whose pages stay until they are
/// overwritten. Else each later start would take them for a torn end.
result<void> forget_torn_end(const std::filesystem::path& wal, const wal_scan& found);

/// One frame as it lies in the file.
struct wal_frame {
  std::uint64_t number = 0;   ///< from 1
  std::uint32_t page = 0;     ///< which page of the database it holds
  bool is_intact = false;     ///< of this generation, and right by the checksum of the one before
  std::string_view content{}; ///< of the page; valid during the call
};

/// Reads the whole file. A missing, empty or never used WAL has no frames. `visit`, if given, is
/// called for each frame, in order, those of earlier generations among them.
result<wal_scan> scan_wal(const std::filesystem::path& wal,
                          const std::function<void(const wal_frame&)>& visit = {});

} // namespace penstock
