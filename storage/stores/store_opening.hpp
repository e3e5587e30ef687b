// The one way to open an SQLite store beside the journal: damage is noticed before SQLite forgets
// it.
#pragma once

#include "storage/sqlite/sqlite.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// What opening the stores of a data directory found; logged by the node. Sentences name files.
struct store_report {
  std::vector<std::string> damaged; ///< what is lost, one clear sentence each
  std::vector<std::string>
      torn; ///< last transactions that were not whole: normal after a power cut
  /// Have SQLite look at all pages of large stores, too, and at the indexes of all, which a start
  /// does not: a second for some 500 MB.
  bool checks_all_pages = false;
};

/// Tells stores apart by two letters of their names, in the place that SQLite keeps for it
/// (application_id). Earlier versions write none, and don't look.
constexpr std::uint32_t store_mark(char first, char second) {
  return std::uint32_t{'p'} << 24 | std::uint32_t{'s'} << 16 |
         static_cast<std::uint32_t>(static_cast<unsigned char>(first)) << 8 |
         static_cast<unsigned char>(second);
}

/// Beside the stores: the names of those that must be there.
inline constexpr const char* stores_file_name = "stores";

/// What damage to a store costs, and what becomes of it.
struct store_kind {
  std::uint32_t mark = 0;  ///< of its own
  std::string_view holds;  ///< completes "lost is what they said of …"
  std::string_view remedy; ///< what to do where it refuses; a sentence
  /// Of one that refuses: a statement whose one value says what the database has, "3 keys and 1
  /// plans".
  std::string_view counted = {};
  /// A node must not start with a damaged one. Any other is put right with what can be read.
  bool refuses = false;
  bool is_synced = true; ///< each commit is on the disk before anybody is told of it
  /// user_version; a store with a higher one was written by a newer program. 0: it is not looked
  /// at.
  std::int64_t format = 0;
};

/// Makes the tables of a store where they are not, and has SQLite compile the statements that will
/// be run on them. It keeps none: the connection may be closed, and the files moved, after it
/// failed.
using make_tables = std::function<result<void>(sqlite_database&)>;

/// Whether SQLite can run these statements on the tables that there are; corrupt where it can't.
result<void> compile_all(sqlite_database& db, std::initializer_list<std::string_view> statements);

/// Stores up to this size are looked at by SQLite's quick_check at each start, larger ones when
/// their log is damaged.
inline constexpr std::uint64_t max_checked_store_bytes = 64ull << 20;
/// With a damaged log a database of at most this size is copied to `damaged/`, too.
inline constexpr std::uint64_t max_copied_store_bytes = 256ull << 20;
/// Directories in `damaged/`, one each time that a store is damaged. Beyond it the node does not
/// start.
inline constexpr std::size_t max_damaged_stores = 1000;

/// Opens or makes a store, mode 0600. Of a damaged log the files as they were are copied to a
/// directory of their own in `damaged/` beside the store, and what can be read stays; a database
/// that SQLite finds malformed, whose tables are not those that `tables` expects, or that lost
/// them, is moved there and begun anew. Both are told once, in `report`. Where `db` is a symbolic
/// link, all this is about the file that it leads to. Errors: corrupt for a kind that refuses,
/// whose files are left as they are, and for a store of a newer program; disk_full, also when there
/// is no room for the copy; locked; io for what is no damage, such as rights and descriptors: then
/// nothing was moved.
result<sqlite_database> open_store(const std::filesystem::path& db, const store_kind& kind,
                                   const make_tables& tables, store_report* report,
                                   const std::string& vfs = {});

} // namespace penstock
