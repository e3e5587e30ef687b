// One segment of the journal: its file names, its schema, and the connection that writes to it.
#pragma once

#include "storage/base/files.hpp"
#include "storage/events/block_codec.hpp"
#include "storage/journal/idempotency_rows.hpp"
#include "storage/journal/segment_catalog.hpp"
#include "storage/sqlite/sqlite.hpp"
#include "storage/sqlite/wal_files.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace penstock {

/// Version of the on-disk format, docs/journal-format.md.
inline constexpr std::int64_t journal_format_version = 2;
/// The oldest that this program reads.
inline constexpr std::int64_t oldest_format_version = 1;

/// `000000000001.db`.
std::filesystem::path segment_path(const std::filesystem::path& dir, std::uint64_t number);
/// Where a segment is made that is to take the place of this one: `000000000001.db.moved`.
std::filesystem::path moved_path(const std::filesystem::path& db);
/// Nothing if the file is not named like a segment.
std::optional<std::uint64_t> segment_number(const std::filesystem::path& file);

/// Unlinks a segment with its WAL and shared memory. A crash half-way does not look like damage:
/// the WAL's name tells that the removal has begun. `keep_wal_as`, if given, is where the WAL goes.
void remove_segment(const std::filesystem::path& db, const std::filesystem::path& keep_wal_as = {});
/// Completes a removal that a crash cut short, if `leftover` is such a WAL.
void finish_removal(const std::filesystem::path& leftover);

/// True when another process, such as a person's sqlite3, has the segment open. Only for a segment
/// that this process has not open itself: looking would drop this process's own locks.
bool other_process_reads(const std::filesystem::path& db);

/// Makes the file of a new segment with the schema and an empty WAL, durably. A file `spare_wal`,
/// if given, becomes the WAL, so that commits overwrite blocks that the disk already has; else the
/// WAL is given `preallocate_bytes` of blocks, where the file system can, so that it need not grow.
result<void> create_segment(const std::filesystem::path& db, std::uint64_t number,
                            const std::string& tag, const std::string& vfs,
                            const std::filesystem::path& spare_wal = {},
                            std::uint64_t preallocate_bytes = 0);

/// Settings that every connection to a segment needs: above all, never to checkpoint. errc::corrupt
/// for an empty file, whose log SQLite would delete.
result<sqlite_database> open_segment(const std::filesystem::path& db, sqlite_mode mode,
                                     const std::string& vfs);

/// What the segment's tables say of it; `damaged` where it has no seal, and pages of it are
/// malformed. errc::corrupt if it can't be read, was another segment once, or belongs to another
/// journal, whose tag is then `other_tag`; errc::newer if a newer program wrote it.
result<segment_info> inspect_segment(const std::filesystem::path& db, const std::string& tag,
                                     const std::string& vfs, std::string& other_tag);

/// The first and last event of what can be read of a segment, whatever it says that it is; 0 for
/// none.
result<segment_info> read_extent_of(const std::filesystem::path& db, const std::string& vfs);

/// Which segments this one takes the place of: what seal() wrote.
result<std::vector<std::uint64_t>> read_moved_from(const std::filesystem::path& db,
                                                   const std::string& vfs);

/// Writes blocks to one segment. One thread uses it at a time.
class segment_writer {
 public:
  /// `wal_used_bytes`: how much of the WAL file holds committed rows; 0 for a new segment.
  static result<std::unique_ptr<segment_writer>> open(segment_info info, const std::string& vfs,
                                                      std::uint64_t wal_used_bytes = 0);

  const segment_info& info() const { return info_; }

  /// Adds a row to the open transaction, beginning one if need be.
  result<void> append(const event_block& block, const block_encoder& columns);
  /// Adds the keys of another segment of which an event is in this one, each whole; says how many.
  result<std::uint64_t> take_keys_of(const std::filesystem::path& other, const std::string& vfs);
  result<void> commit();
  void rollback();
  bool in_transaction() const { return sqlite3_get_autocommit(db_.raw()) == 0; }

  /// Writes what the segment holds (`now`, as the catalog has it), which segments it takes the
  /// place of, if any, and that it is complete; in the open transaction, if there is one.
  result<void> seal(const segment_info& now, const std::vector<std::uint64_t>& moved_from = {});

  /// See journal::check_place().
  result<void> check_place() const;

  /// Bytes of the database and of the WAL, a recycled WAL's unused rest included.
  std::uint64_t bytes() const;
  /// Bytes in use: what bytes() would be without that rest.
  std::uint64_t used_bytes() const;

 private:
  segment_writer(segment_info info, sqlite_database db)
      : info_(std::move(info)), db_(std::move(db)) {}
  result<void> bring_up_to_date();
  result<void> note_moved_from(const std::vector<std::uint64_t>& numbers);
  static int on_wal_commit(void* self, sqlite3*, const char*, int frames);

  segment_info info_;
  sqlite_database db_;
  sqlite_statement begin_, insert_, commit_, rollback_;
  idempotency_inserter keys_;
  file_identity db_file_;
  file_identity wal_file_;
  std::uint64_t db_bytes_ = 0;
  std::uint64_t wal_file_bytes_ = 0; // when it was opened
  std::uint64_t wal_used_bytes_ = 0;
};

} // namespace penstock
