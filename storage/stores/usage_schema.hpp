// What the two sides of usage.db, and of the file with copies of other nodes', share.
#pragma once

#include "storage/base/result.hpp"
#include "storage/sqlite/sqlite.hpp"
#include "storage/stores/usage.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace penstock {

inline constexpr const char* usage_file_name = "usage.db";
inline constexpr const char* usage_copies_file_name = "usage-copies.db";

/// A period's table is read and written by (dimension, start): what is written now lies together,
/// so does what is deleted, and a report reads nothing but its own range. `size` counts the rows,
/// so that nobody has to. `name.last_month` tells when a name is no longer needed. `origin` says
/// whose counts these are: see usage_about. A file of copies has several: the slot of each is in
/// the column `dimension` of its rows, and in `size.period`; a node's own has slot 0.
/// `last_slot` has one row: which number was given out last.
inline constexpr const char* usage_schema = R"sql(
CREATE TABLE IF NOT EXISTS name(
  id INTEGER PRIMARY KEY,
  text TEXT NOT NULL UNIQUE,
  last_month INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS origin(
  slot INTEGER PRIMARY KEY,
  origin TEXT NOT NULL UNIQUE,
  node TEXT NOT NULL DEFAULT '',
  address TEXT NOT NULL DEFAULT '',
  given_by TEXT NOT NULL DEFAULT '',
  known_ms INTEGER NOT NULL DEFAULT 0,
  begun_ms INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS last_slot(id INTEGER PRIMARY KEY, number INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS size(period INTEGER PRIMARY KEY, rows INTEGER NOT NULL);
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

/// Of a node's own. One that has rows is of a program that gave it no origin: nobody knows when it
/// began.
inline constexpr const char* usage_own_origin = R"sql(
INSERT OR IGNORE INTO origin(slot, origin, begun_ms) VALUES (
  0, lower(hex(randomblob(16))),
  CASE WHEN EXISTS (SELECT 1 FROM month) THEN 0 ELSE 1000 * strftime('%s', 'now') END
);
)sql";

inline constexpr std::int64_t usage_slot_dimensions = 8; // of which 5 are used
/// Slots are numbered up to here; a number is given out once. Keys of the last one fit, too.
inline constexpr std::int64_t max_usage_slot = (std::int64_t{1} << 60) - 2;

/// What `dimension` is in the rows of a slot; and what it says.
constexpr std::int64_t usage_dimension_key(std::int64_t slot, usage_dimension by) {
  return slot * usage_slot_dimensions + static_cast<std::int64_t>(by);
}
constexpr usage_dimension usage_dimension_at(std::int64_t key) {
  return static_cast<usage_dimension>(key % usage_slot_dimensions);
}
/// The same for `size.period`.
constexpr std::int64_t usage_size_key(std::int64_t slot, std::size_t period) {
  return slot * static_cast<std::int64_t>(usage_periods) + static_cast<std::int64_t>(period);
}
constexpr std::pair<std::int64_t, std::size_t> usage_size_place(std::int64_t key) {
  constexpr auto periods = static_cast<std::int64_t>(usage_periods);
  return {key / periods, static_cast<std::size_t>(key % periods)};
}

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
