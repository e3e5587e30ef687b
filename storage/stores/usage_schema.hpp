// What the two sides of usage.db share.
#pragma once

#include "storage/base/result.hpp"
#include "storage/sqlite/sqlite.hpp"
#include "storage/stores/usage.hpp"

#include <cstdint>
#include <string>
#include <string_view>
namespace penstock {

inline constexpr const char* usage_file_name = "usage.db";

/// A period's table is read and written by (dimension, start): what is written now lies together,
/// so does what is deleted, and a report reads nothing but its own range. `size` counts the rows,
/// so that nobody has to. `name.last_month` tells when a name is no longer needed. `about` says
/// whose counts these are: see usage_about.
inline constexpr const char* usage_schema = R"sql(
CREATE TABLE IF NOT EXISTS name(
  id INTEGER PRIMARY KEY,
  text TEXT NOT NULL UNIQUE,
  last_month INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS about(item TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT OR IGNORE INTO about VALUES ('origin', lower(hex(randomblob(16))));
CREATE TABLE IF NOT EXISTS size(period INTEGER PRIMARY KEY, rows INTEGER NOT NULL);
INSERT OR IGNORE INTO size VALUES (0, 0), (1, 0), (2, 0), (3, 0);
CREATE TABLE IF NOT EXISTS minute(
  dimension INTEGER NOT NULL, start INTEGER NOT NULL, name INTEGER NOT NULL,
  requests INTEGER NOT NULL, events INTEGER NOT NULL, bytes INTEGER NOT NULL,
  refused INTEGER NOT NULL,
  PRIMARY KEY (dimension, start, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hour(
  dimension INTEGER NOT NULL, start INTEGER NOT NULL, name INTEGER NOT NULL,
  requests INTEGER NOT NULL, events INTEGER NOT NULL, bytes INTEGER NOT NULL,
  refused INTEGER NOT NULL,
  PRIMARY KEY (dimension, start, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS day(
  dimension INTEGER NOT NULL, start INTEGER NOT NULL, name INTEGER NOT NULL,
  requests INTEGER NOT NULL, events INTEGER NOT NULL, bytes INTEGER NOT NULL,
  refused INTEGER NOT NULL,
  PRIMARY KEY (dimension, start, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS month(
  dimension INTEGER NOT NULL, start INTEGER NOT NULL, name INTEGER NOT NULL,
  requests INTEGER NOT NULL, events INTEGER NOT NULL, bytes INTEGER NOT NULL,
  refused INTEGER NOT NULL,
  PRIMARY KEY (dimension, start, name)
) WITHOUT ROWID;
)sql";

// -- what the store and the reader read alike -----------------------------------------------------

/// The four counts of a row, from that column on.
inline usage_counts counts_at(sqlite_statement& row, int column) {
  const auto number = [&](int i) { return static_cast<std::uint64_t>(row.integer(column + i)); };
  return {number(0), number(1), number(2), number(3)};
}

/// `select` gives the text of the name that is bound to it; empty: there is no such name.
inline result<std::string> text_of_name(sqlite_statement& select, std::int64_t name) {
  select.bind(1, name);
  const auto found = select.step();
  std::string text{found && *found ? select.bytes(0) : std::string_view{}};
  select.reset();
  if (!found) return found.error();
  return text;
}

} // namespace penstock
