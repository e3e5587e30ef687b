// What opening a journal directory finds and puts right.
#pragma once

#include "storage/base/file_list.hpp"
#include "storage/base/id_reserve.hpp"
#include "storage/journal/journal.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace penstock {

inline constexpr const char* tag_file_name = "tag";           ///< holds the journal's tag
inline constexpr const char* segments_file_name = "segments"; ///< the segments that must be there

/// Moves a segment's files to `damaged/`. Needs no free space but a directory entry.
result<void> set_aside(const std::filesystem::path& db);

struct recovered_journal {
  std::string tag;
  id_reserve ids;
  std::uint64_t next_number = 1;      ///< of the next segment
  std::optional<segment_info> active; ///< the segment to go on with, if there is one
  std::uint64_t active_wal_bytes = 0; ///< how much of its WAL is in use
  std::shared_ptr<file_list> listed;  ///< the names of the segments' databases
};

/// Reads or draws the tag, removes what a crash left half made, sets damaged segments aside, fills
/// the catalog, and durably notes the ids that are skipped (see journal::next_seq).
result<recovered_journal> recover(const journal_options& options, const std::string& vfs,
                                  segment_catalog& catalog, recovery_report& report);

} // namespace penstock
