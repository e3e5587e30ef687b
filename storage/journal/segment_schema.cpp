// What a segment file is made of, and making one.
#include "storage/base/files.hpp"
#include "storage/journal/segment.hpp"
#include "storage/sqlite/wal_scan.hpp"

#include <charconv>
#include <cstdio>

#include <fcntl.h>
#include <unistd.h>

namespace penstock {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t number_digits = 12;
constexpr std::string_view db_suffix = ".db";

// `bodies` is last: a row's other columns can then be read without its overflow pages.
constexpr const char* segment_tables = R"sql(
PRAGMA page_size = 4096;
PRAGMA journal_mode = MEMORY;
PRAGMA synchronous = FULL;
BEGIN;
CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE stream(name TEXT PRIMARY KEY, events INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE block(
  seq INTEGER PRIMARY KEY,
  n INTEGER NOT NULL,
  time_ms INTEGER NOT NULL,
  stream TEXT NOT NULL,
  ends TEXT NOT NULL,
  types TEXT NOT NULL,
  type_of TEXT,
  clients BLOB NOT NULL,
  attributes TEXT,
  bodies BLOB NOT NULL
);
CREATE VIEW event AS
SELECT
  printf('%016x-%s', block.seq + item.key, tag.value) AS id,
  strftime('%Y-%m-%dT%H:%M:%fZ', block.time_ms / 1000.0, 'unixepoch') AS time,
  block.stream AS stream,
  json_extract(block.types,
    '$[' || coalesce(json_extract(block.type_of, '$[' || item.key || ']'), 0) || ']')
    AS content_type,
  json_extract(block.attributes, '$[' || item.key || ']') AS attributes,
  CAST(substr(block.bodies,
    1 + coalesce(json_extract(block.ends, '$[' || (nullif(item.key, 0) - 1) || ']'), 0),
    item.value - coalesce(json_extract(block.ends, '$[' || (nullif(item.key, 0) - 1) || ']'), 0)) AS TEXT)
    AS body
FROM block, json_each(block.ends) AS item, meta AS tag
WHERE tag.key = 'tag';
)sql";

} // namespace

fs::path segment_path(const fs::path& dir, std::uint64_t number) {
  char name[32];
  std::snprintf(name, sizeof name, "%0*llu.db", static_cast<int>(number_digits),
                static_cast<unsigned long long>(number));
  return dir / name;
}

fs::path moved_path(const fs::path& db) {
  return db.string() + ".moved";
}

std::optional<std::uint64_t> segment_number(const fs::path& file) {
  const std::string name = file.filename().string();
  if (name.size() != number_digits + db_suffix.size() || !name.ends_with(db_suffix))
    return std::nullopt;
  std::uint64_t number = 0;
  const char* end = name.data() + number_digits;
  if (std::from_chars(name.data(), end, number).ptr != end || number == 0) return std::nullopt;
  return number;
}

namespace {

constexpr std::string_view removing_suffix = "-wal.tmp";

} // namespace

void remove_segment(const fs::path& db, const fs::path& keep_wal_as) {
  const fs::path removing = db.string() + std::string{removing_suffix};
  const bool has_wal = ::rename(wal_path(db).c_str(), removing.c_str()) == 0;
  remove_file(db);
  remove_file(shm_path(db));
  if (!has_wal) return;
  if (keep_wal_as.empty() || !rename_file(removing, keep_wal_as)) remove_file(removing);
}

bool other_process_reads(const fs::path& db) {
  // SQLite holds a lock on the shared-memory file for as long as a connection uses the WAL.
  auto fd = open_file(shm_path(db), O_RDWR);
  if (!fd) return false;
  struct flock any {};
  any.l_type = F_WRLCK;
  any.l_whence = SEEK_SET;
  return ::fcntl(fd->get(), F_GETLK, &any) != 0 || any.l_type != F_UNLCK;
}

void finish_removal(const fs::path& leftover) {
  const std::string name = leftover.string();
  if (!name.ends_with(removing_suffix)) return;
  const fs::path db = name.substr(0, name.size() - removing_suffix.size());
  if (!segment_number(db)) return;
  remove_file(db);
  remove_file(shm_path(db));
}

namespace {

result<void> write_schema(const fs::path& file, std::uint64_t number, const std::string& tag,
                          std::uint64_t log_bytes, const std::string& vfs) {
  auto db = sqlite_database::open(file, sqlite_mode::create, vfs);
  if (!db) return db.error();
  if (auto done = db->exec(segment_tables); !done) return done;
  if (auto done = db->exec(idempotency_schema); !done) return done;
  {
    auto insert = db->prepare("INSERT INTO meta VALUES ('version', ?1), ('tag', ?2), "
                              "('number', ?3), ('log_bytes', ?4), ('sealed', 0)");
    if (!insert) return insert.error();
    insert->bind(1, journal_format_version);
    insert->bind_text(2, tag);
    insert->bind(3, number);
    insert->bind(4, log_bytes);
    if (auto done = insert->run(); !done) return done;
  }
  if (auto done = db->exec("COMMIT"); !done) return done;
  return db->exec("PRAGMA journal_mode = WAL");
}

result<void> place_wal(const fs::path& wal, const fs::path& spare_wal,
                       std::uint64_t preallocate_bytes) {
  if (!spare_wal.empty() && rename_file(spare_wal, wal)) return {};
  auto made = open_file(wal, O_RDWR | O_CREAT | O_TRUNC);
  if (!made) return made.error();
  // Where this fails the file grows as it is filled.
  if (preallocate_bytes > 0)
    (void)::fallocate(made->get(), 0, 0, static_cast<off_t>(preallocate_bytes));
  return mark_unused(wal);
}

} // namespace

result<void> create_segment(const fs::path& db, std::uint64_t number, const std::string& tag,
                            const std::string& vfs, const fs::path& spare_wal,
                            std::uint64_t preallocate_bytes) {
  const fs::path temporary = db.string() + ".tmp";
  remove_segment(temporary);
  // The WAL before the database: a database in place without a WAL has lost it.
  auto done = place_wal(wal_path(db), spare_wal, preallocate_bytes);
  if (done) done = write_schema(temporary, number, tag, file_bytes(wal_path(db)), vfs);
  remove_file(wal_path(temporary));
  remove_file(shm_path(temporary));
  if (done) done = sync_directory(db.parent_path());
  if (done) done = rename_file(temporary, db);
  if (done) done = sync_directory(db.parent_path());
  if (!done) {
    remove_segment(temporary);
    remove_segment(db);
  }
  return done;
}

} // namespace penstock
