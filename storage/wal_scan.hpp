// Looks at a WAL file the way SQLite's own recovery does, to tell a torn end from damage.
#pragma once

#include "storage/result.hpp"

#include <cstdint>
#include <filesystem>

namespace penstock {

/// SQLite takes a WAL up to the first frame whose checksum is wrong and forgets the rest in
/// silence. That is right for the end that a crash tore, and a loss where committed frames follow.
struct wal_scan {
  std::uint64_t committed_frames = 0; ///< what SQLite will take
  /// Commits of the same WAL generation that lie past the first bad frame. A crash tears at most
  /// the last transaction, so more than one means that acknowledged rows were damaged.
  std::uint64_t commits_beyond = 0;

  std::uint64_t used_bytes() const;
  bool damaged() const { return commits_beyond > 1; }
};

/// Reads the whole file. A missing, empty or never used WAL has no frames.
result<wal_scan> scan_wal(const std::filesystem::path& wal);

} // namespace penstock
