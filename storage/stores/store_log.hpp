// Judges the write-ahead log of a store that SQLite checkpoints, before SQLite opens it.
#pragma once

#include "storage/base/result.hpp"
#include "storage/sqlite/wal_scan.hpp"

#include <cstdint>
#include <filesystem>

namespace penstock {

/// How a store's log ends.
enum class log_end : std::uint8_t {
  whole,   ///< SQLite takes all of it; or there is none
  torn,    ///< by a last transaction that is not whole, which a crash leaves of what was not stored
           ///< yet
  damaged, ///< SQLite would forget committed transactions in silence
};

/// Unlike a segment's, such a log is copied into the database now and then (a checkpoint) and then
/// written again from its start. So frames of earlier generations lie behind the live ones, which
/// is no damage, and the database may be newer than a part of the log.
struct store_log {
  log_end end = log_end::whole;
  wal_scan found;
  /// The database has later versions of pages than the part of the log that can be read: laid over
  /// it, that part would bring old pages back. Only the database counts then.
  bool is_overtaken = false;
  bool is_without_database =
      false; ///< the database file is gone or empty; SQLite would delete the log

  /// What SQLite's part of it is worth: frames that can be read, and may be.
  bool has_readable_part() const {
    return found.committed_frames > 0 && !is_overtaken && !is_without_database;
  }
};

/// Reads the log of `db` once, and again where it is damaged; changes nothing. `is_synced`: each
/// commit of the store is on the disk before it is told. Then what the store's shared memory says
/// of commits, which a kill leaves behind, proves that a last transaction is not torn but damaged.
/// A log that is gone is noticed by the shared memory alone: people who begin without a log move
/// both away.
result<store_log> read_store_log(const std::filesystem::path& db, bool is_synced);

} // namespace penstock
