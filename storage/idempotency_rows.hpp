// The table that holds idempotency records, in segments and in idempotency.db.
#pragma once

#include "storage/idempotency.hpp"
#include "storage/sqlite.hpp"

namespace penstock {

inline constexpr const char* idempotency_schema =
    "CREATE TABLE IF NOT EXISTS idempotency("
    "seq INTEGER PRIMARY KEY, n INTEGER NOT NULL, time_ms INTEGER NOT NULL, "
    "key BLOB NOT NULL, content BLOB NOT NULL);";

/// Inserts rows; a record that is there already is replaced.
class idempotency_inserter {
 public:
  result<void> prepare(sqlite_database& db);
  result<void> insert(const idempotency_record& record);
  void reset() { insert_ = {}; }

 private:
  sqlite_statement insert_;
};

result<void> visit_rows(sqlite_database& db, std::int64_t since_ms, const record_visitor& visit);

} // namespace penstock
