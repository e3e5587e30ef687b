// The tables of dead-letters.db, and how its rows are read. For dead_letter_store.cpp.
#pragma once

#include "storage/base/checksum.hpp"
#include "storage/sqlite/sqlite.hpp"
#include "storage/stores/dead_letter_store.hpp"

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace penstock {

// Numbers are never given again, so that a page which begins after one misses nothing. The body
// stands last: a list without bodies then does not read their pages. `tally` is kept by triggers,
// and so right whatever changes letters. `letter_sum` has checksums of what is sent; earlier
// versions don't know it, and triggers drop a checksum when they change its letter. One without is
// believed.
inline constexpr const char* dead_letter_schema = R"sql(
CREATE TABLE IF NOT EXISTS letter(
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  sink TEXT NOT NULL,
  stream TEXT NOT NULL,
  tag TEXT NOT NULL,
  seq INTEGER NOT NULL,
  time_ms INTEGER NOT NULL,
  client INTEGER NOT NULL,
  content_type TEXT NOT NULL,
  attributes TEXT NOT NULL,
  reason TEXT NOT NULL,
  tries INTEGER NOT NULL,
  died_ms INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  body BLOB NOT NULL,
  UNIQUE (tag, seq, sink)
) STRICT;
CREATE INDEX IF NOT EXISTS letter_group ON letter(sink, stream, tag);
CREATE TABLE IF NOT EXISTS tally(
  sink TEXT NOT NULL,
  stream TEXT NOT NULL,
  letters INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  PRIMARY KEY (sink, stream)
) WITHOUT ROWID, STRICT;
CREATE TABLE IF NOT EXISTS retry(
  number INTEGER PRIMARY KEY,
  job INTEGER NOT NULL,
  sink TEXT NOT NULL,
  stream TEXT NOT NULL,
  tag TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS retry_order ON retry(job, sink, stream, tag);
CREATE TRIGGER IF NOT EXISTS letter_came AFTER INSERT ON letter BEGIN
  INSERT INTO tally VALUES (new.sink, new.stream, 1, new.bytes)
    ON CONFLICT DO UPDATE SET letters = letters + 1, bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER IF NOT EXISTS letter_changed AFTER UPDATE OF bytes ON letter BEGIN
  UPDATE tally SET bytes = bytes + new.bytes - old.bytes
    WHERE sink = new.sink AND stream = new.stream;
END;
CREATE TRIGGER IF NOT EXISTS letter_went AFTER DELETE ON letter BEGIN
  UPDATE tally SET letters = letters - 1, bytes = bytes - old.bytes
    WHERE sink = old.sink AND stream = old.stream;
  DELETE FROM retry WHERE number = old.number;
END;
CREATE TABLE IF NOT EXISTS letter_sum(number INTEGER PRIMARY KEY, sum TEXT NOT NULL) STRICT;
CREATE TRIGGER IF NOT EXISTS letter_sum_of_new AFTER INSERT ON letter
  BEGIN DELETE FROM letter_sum WHERE number = new.number; END;
CREATE TRIGGER IF NOT EXISTS letter_sum_of_changed AFTER UPDATE OF
    number, sink, stream, tag, seq, time_ms, client, content_type, attributes, body ON letter
  BEGIN DELETE FROM letter_sum WHERE number = old.number; END;
CREATE TRIGGER IF NOT EXISTS letter_sum_of_gone AFTER DELETE ON letter
  BEGIN DELETE FROM letter_sum WHERE number = old.number; END;
CREATE VIEW IF NOT EXISTS readable_letter AS
  SELECT printf('%016x-%s', seq, tag) AS id, sink, stream,
         datetime(time_ms / 1000, 'unixepoch') AS accepted,
         datetime(died_ms / 1000, 'unixepoch') AS died, tries, reason, length(body) AS size
  FROM letter;
)sql";

inline constexpr const char* put_letter_sql = R"sql(
INSERT INTO letter(sink, stream, tag, seq, time_ms, client, content_type, attributes, reason, tries,
                   died_ms, bytes, body)
  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
  ON CONFLICT(tag, seq, sink) DO UPDATE SET
    time_ms = excluded.time_ms, client = excluded.client, content_type = excluded.content_type,
    attributes = excluded.attributes, reason = excluded.reason, tries = excluded.tries,
    died_ms = excluded.died_ms, bytes = excluded.bytes, body = excluded.body
)sql";

inline constexpr const char* put_letter_sum_sql =
    "INSERT OR REPLACE INTO letter_sum SELECT number, ?4 FROM letter WHERE tag=?1 AND seq=?2 AND "
    "sink=?3";

/// Of what a sink would get. What was said of it when it died may change.
inline std::string checksum_of(const dead_letter& letter) {
  std::string row;
  for (const std::string* text :
       {&letter.sink, &letter.stream, &letter.tag, &letter.content_type, &letter.attributes})
    row.append(*text) += '\0';
  row += std::to_string(letter.seq) + ' ' + std::to_string(letter.time_ms) + ' ' +
         std::to_string(letter.client) + '\0';
  return checksum_letters(row += letter.body, row_checksum_letters);
}

/// The columns that read_letters() takes, in its order.
inline std::string letter_columns(bool with_bodies) {
  return "number, sink, stream, tag, seq, time_ms, client, content_type, attributes, reason, "
         "tries, died_ms, length(body)" +
         std::string{with_bodies ? ", body, (SELECT sum FROM letter_sum "
                                   "WHERE letter_sum.number = letter.number)"
                                 : ""};
}

/// Reads what a statement gives until bodies exceed `max_bytes`, at least one row if there is one.
inline result<std::vector<kept_dead_letter>> read_letters(sqlite_statement& rows, bool with_bodies,
                                                          std::uint64_t max_bytes) {
  std::vector<kept_dead_letter> letters;
  for (std::uint64_t bytes = 0; bytes <= max_bytes;) {
    auto row = rows.step();
    if (!row) return row.error();
    if (!*row) break;
    kept_dead_letter next;
    next.number = static_cast<std::uint64_t>(rows.integer(0));
    auto& letter = next.letter;
    letter.sink = rows.bytes(1);
    letter.stream = rows.bytes(2);
    letter.tag = rows.bytes(3);
    letter.seq = static_cast<std::uint64_t>(rows.integer(4));
    letter.time_ms = rows.integer(5);
    letter.client = static_cast<std::uint64_t>(rows.integer(6));
    letter.content_type = rows.bytes(7);
    letter.attributes = rows.bytes(8);
    letter.reason = rows.bytes(9);
    letter.tries = static_cast<std::uint32_t>(rows.integer(10));
    letter.died_ms = rows.integer(11);
    next.body_bytes = static_cast<std::uint64_t>(rows.integer(12));
    if (with_bodies) letter.body = rows.bytes(13);
    next.is_damaged = with_bodies && !rows.is_null(14) && rows.bytes(14) != checksum_of(letter);
    if (next.is_damaged) letter.reason = damaged_letter_reason;
    if (with_bodies) bytes += next.body_bytes;
    letters.push_back(std::move(next));
  }
  return letters;
}

/// A WHERE clause with parameters 1 to 5, and 7 on for ids.
struct letter_condition {
  letter_condition(const dead_letter_filter& from, std::uint64_t after_number)
      : filter(from), after(after_number) {
    sql = "number > ?1";
    if (!filter.sink.empty()) sql += " AND sink = ?2";
    if (!filter.stream.empty()) sql += " AND stream = ?3";
    if (filter.from_ms > 0) sql += " AND time_ms >= ?4";
    if (filter.to_ms < std::numeric_limits<std::int64_t>::max()) sql += " AND time_ms <= ?5";
    if (filter.ids.empty()) return;
    // One text of all ids: SQLite takes 32,766 parameters at most.
    sql += " AND (tag, seq) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?7))";
    ids = "[";
    for (const auto& id : filter.ids)
      ids += (ids.size() > 1 ? ",[\"" : "[\"") + id.tag + "\"," + std::to_string(id.seq) + "]";
    ids += "]";
  }
  void bind(sqlite_statement& statement) const {
    statement.bind(1, after);
    statement.bind_text(2, filter.sink);
    statement.bind_text(3, filter.stream);
    statement.bind(4, filter.from_ms);
    statement.bind(5, filter.to_ms);
    statement.bind_text(7, ids);
  }

  const dead_letter_filter& filter;
  std::uint64_t after;
  std::string sql;
  std::string ids;
};

} // namespace penstock
