// The table that holds idempotency records, in segments and in idempotency.db.
#pragma once

#include "storage/base/result.hpp"
#include "storage/events/idempotency.hpp"
#include "storage/sqlite/sqlite.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace penstock {

inline constexpr const char* idempotency_schema =
    "CREATE TABLE IF NOT EXISTS idempotency("
    "seq INTEGER PRIMARY KEY, n INTEGER NOT NULL, time_ms INTEGER NOT NULL, "
    "key BLOB NOT NULL, content BLOB NOT NULL);";

inline constexpr std::string_view select_records =
    "SELECT seq, n, time_ms, key, content FROM idempotency WHERE time_ms >= ?1 ORDER BY seq";

/// Inserts rows; a record that is there already is replaced.
class idempotency_inserter {
 public:
  result<void> prepare(sqlite_database& db);
  result<void> insert(const idempotency_record& record);
  void reset() { insert_ = {}; }

 private:
  sqlite_statement insert_;
};

/// Of these columns, which are bound: seq, n, time_ms, key, content.
result<void> visit_rows(sqlite_statement& rows, const record_visitor& visit);
result<void> visit_rows(sqlite_database& db, std::int64_t since_ms, const record_visitor& visit);

/// Visits the records of a segment that are not older than `since_ms`, in journal order. A segment
/// of the first format version has none. `vfs` as in journal_options.
result<void> visit_records(const std::filesystem::path& segment, std::int64_t since_ms,
                           const record_visitor& visit, const std::string& vfs = {});

} // namespace penstock
