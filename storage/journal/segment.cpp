#include "storage/journal/segment.hpp"

#include "storage/base/files.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <limits>

#include <fcntl.h>

namespace penstock {

namespace fs = std::filesystem;

namespace {

error not_ours(const fs::path& db, std::string_view why) {
  return error{errc::corrupt, db.string() + ": " + std::string{why}};
}

/// A value of the meta table; nothing if there is no such key.
result<std::optional<std::string>> meta_value(sqlite_database& db, std::string_view key) {
  auto select = db.prepare("SELECT value FROM meta WHERE key = ?1");
  if (!select) return select.error();
  select->bind_text(1, key);
  auto row = select->step();
  if (!row) return row.error();
  if (!*row) return std::optional<std::string>{};
  return std::optional<std::string>{std::string{select->bytes(0)}};
}

// Also of one that has not got its name yet.
std::uint64_t number_in_name(fs::path path) {
  if (path.extension() == ".moved") path.replace_extension();
  return segment_number(path).value_or(0);
}

result<void> check_version(sqlite_database& db, const fs::path& path) {
  auto version = meta_value(db, "version");
  if (!version) return version.error();
  const std::string text = version->value_or("unknown");
  std::int64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, fault] = std::from_chars(text.data(), end, number);
  const bool is_number = fault == std::errc{} && rest == end;
  if (is_number && number >= oldest_format_version && number <= journal_format_version) return {};
  const std::string what = "its format version is " + text + ", and this program reads " +
                           std::to_string(oldest_format_version) + " to " +
                           std::to_string(journal_format_version);
  if (!is_number || number < oldest_format_version) return not_ours(path, what);
  return error{errc::newer,
               path.string() + ": " + what +
                   ". Start the newer program that wrote it: nothing here was moved "
                   "or changed. If there is none the segment is damaged; then move its "
                   ".db and .db-wal away"};
}

result<void> check_identity(sqlite_database& db, const fs::path& path, const std::string& tag,
                            std::string& other_tag) {
  if (auto known = check_version(db, path); !known) return known;
  auto found = meta_value(db, "tag");
  if (!found) return found.error();
  if (*found != tag) {
    other_tag = found->value_or("");
    return not_ours(path, "it belongs to another journal");
  }
  auto number = meta_value(db, "number");
  if (!number) return number.error();
  if (*number != std::to_string(number_in_name(path)))
    return not_ours(path, "it was segment " + number->value_or("unknown") + " of this journal");
  return {};
}

result<void> read_extent(sqlite_database& db, segment_info& info) {
  auto extent = db.prepare("SELECT (SELECT min(seq) FROM block), "
                           "(SELECT seq + n - 1 FROM block ORDER BY seq DESC LIMIT 1), "
                           "(SELECT value FROM meta WHERE key = 'sealed')");
  if (!extent) return extent.error();
  auto row = extent->step();
  if (!row) return row.error();
  info.first_seq = static_cast<std::uint64_t>(extent->integer(0));
  info.last_seq = static_cast<std::uint64_t>(extent->integer(1));
  info.sealed = extent->integer(2) == 1;
  return {};
}

/// Pages that only a seal or a key would touch, too; and a header with which SQLite only reads.
result<bool> has_malformed_pages(sqlite_database& db) {
  if (db.is_read_only()) return true;
  auto look = db.prepare("PRAGMA quick_check(1)");
  if (!look) return look.error();
  auto row = look->step();
  if (!row && row.error().code != errc::corrupt) return row.error();
  return !row || !*row || look->bytes(0) != "ok";
}

/// Counts and times: from the seal where there is one, else by reading the rows (not their bodies).
result<void> read_counts(sqlite_database& db, segment_info& info) {
  auto counts = db.prepare(
      info.sealed ? "SELECT name, events, (SELECT value FROM meta WHERE key = 'first_time_ms'), "
                    "(SELECT value FROM meta WHERE key = 'last_time_ms'), "
                    "(SELECT value FROM meta WHERE key = 'body_bytes:' || name) FROM stream"
                  : "SELECT stream, sum(n), min(time_ms), max(time_ms), "
                    "sum(length(bodies) + coalesce(length(attributes), 0) + "
                    "max(length(types) - 36, 0)) " // see below
                    "FROM block GROUP BY stream");
  if (!counts) return counts.error();
  static_assert(counted_type_bytes(33) ==
                1); // of one type, in brackets and quotes, those beyond 32
  for (bool first = true;; first = false) {
    auto row = counts->step();
    if (!row) return row.error();
    if (!*row) return {};
    const std::string stream{counts->bytes(0)};
    info.events[stream] = static_cast<std::uint64_t>(counts->integer(1));
    if (!counts->is_null(4))
      info.body_bytes[stream] = static_cast<std::uint64_t>(counts->integer(4));
    info.first_time_ms =
        first ? counts->integer(2) : std::min(info.first_time_ms, counts->integer(2));
    info.last_time_ms =
        first ? counts->integer(3) : std::max(info.last_time_ms, counts->integer(3));
  }
}

/// A seal of an older version does not tell the bytes: then each event counts for its share of the
/// file.
void estimate_bytes(segment_info& info) {
  std::uint64_t events = 0;
  for (const auto& [stream, count] : info.events)
    events += count;
  for (const auto& [stream, count] : info.events)
    if (info.body_bytes.count(stream) == 0)
      info.body_bytes[stream] =
          static_cast<std::uint64_t>(static_cast<double>(info.bytes) * static_cast<double>(count) /
                                     static_cast<double>(events));
}

result<bool> has_keys_table(sqlite_database& db) {
  auto select = db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'idempotency'");
  if (!select) return select.error();
  return select->step();
}

result<void> read_keys(sqlite_database& db, segment_info& info) {
  auto has_table = has_keys_table(db);
  if (!has_table) return has_table.error();
  if (!*has_table) return {};
  // Whether there are any is enough to know, and needs one page instead of all.
  auto any = db.prepare("SELECT EXISTS (SELECT 1 FROM idempotency)");
  if (!any) return any.error();
  auto row = any->step();
  if (!row) return row.error();
  info.keys = static_cast<std::uint64_t>(any->integer(0));
  return {};
}

} // namespace

result<segment_info> read_extent_of(const fs::path& path, const std::string& vfs) {
  auto db = open_segment(path, sqlite_mode::read_write, vfs);
  if (!db) return db.error();
  segment_info info;
  if (auto read = read_extent(*db, info); !read) return read.error();
  return info;
}

result<std::vector<std::uint64_t>> read_moved_from(const fs::path& path, const std::string& vfs) {
  auto db = open_segment(path, sqlite_mode::read_write, vfs);
  if (!db) return db.error();
  // Without shared memory, for which a full disk has no room.
  if (auto done = db->exec("PRAGMA locking_mode = EXCLUSIVE"); !done) return done.error();
  auto text = meta_value(*db, "moved_from");
  if (!text) return text.error();
  std::vector<std::uint64_t> numbers;
  const auto list = text->value_or("");
  const char* const end = list.data() + list.size();
  for (const char* at = list.data(); at != end;) {
    std::uint64_t number = 0;
    const auto [rest, fault] = std::from_chars(at, end, number);
    if (fault != std::errc{}) return not_ours(path, "what it was moved from can't be read");
    numbers.push_back(number);
    at = rest == end ? end : rest + 1;
  }
  if (numbers.empty()) return not_ours(path, "it does not tell what it was moved from");
  return numbers;
}

result<sqlite_database> open_segment(const fs::path& path, sqlite_mode mode,
                                     const std::string& vfs) {
  constexpr int reader_patience_ms = 5'000;
  // SQLite deletes the log of an empty database, and the events are in the log.
  if (fs::exists(path) && is_empty_database(path))
    return not_ours(path, "the database file is empty");
  auto db = sqlite_database::open(path, mode, vfs);
  if (!db) return db;
  sqlite3_db_config(db->raw(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_wal_autocheckpoint(db->raw(), 0);
  // Readers that open a segment at one time wait for the first, who builds the index of its log.
  if (mode == sqlite_mode::read_only) sqlite3_busy_timeout(db->raw(), reader_patience_ms);
  return db;
}

result<segment_info> inspect_segment(const fs::path& path, const std::string& tag,
                                     const std::string& vfs, std::string& other_tag) {
  auto db = open_segment(path, sqlite_mode::read_write, vfs);
  if (!db) return db.error();
  // Nobody else reads it now: an exclusive connection needs no shared-memory file, so that a full
  // disk does not keep us from starting.
  auto done = db->exec("PRAGMA locking_mode = EXCLUSIVE");
  if (!done) return done.error();
  if (auto known = check_identity(*db, path, tag, other_tag); !known) return known.error();

  segment_info info;
  info.number = number_in_name(path);
  info.path = path;
  auto log_bytes = meta_value(*db, "log_bytes");
  if (!log_bytes) return log_bytes.error();
  if (*log_bytes) info.log_bytes = std::strtoull((*log_bytes)->c_str(), nullptr, 10);
  if (auto read = read_extent(*db, info); !read) return read.error();
  if (!info.sealed) {
    auto malformed = has_malformed_pages(*db);
    if (!malformed) return malformed.error();
    info.damaged = *malformed;
  }
  if (auto read = read_counts(*db, info); !read) return read.error();
  if (auto read = read_keys(*db, info); !read) return read.error();
  info.bytes = file_bytes(path) + file_bytes(wal_path(path));
  estimate_bytes(info);
  return info;
}

result<std::unique_ptr<segment_writer>>
segment_writer::open(segment_info info, const std::string& vfs, std::uint64_t wal_used_bytes) {
  auto db = open_segment(info.path, sqlite_mode::read_write, vfs);
  if (!db) return db.error();
  auto writer =
      std::unique_ptr<segment_writer>(new segment_writer(std::move(info), std::move(*db)));
  // A transaction's pages that exceed it are written to the WAL early, which costs less than the
  // memory of more (decision 062).
  auto done = writer->db_.exec("PRAGMA synchronous = FULL; PRAGMA cache_size = -1024;");
  if (!done) return done.error();

  const auto& path = writer->info_.path;
  writer->db_file_ = identity_of(path);
  writer->wal_file_ = identity_of(wal_path(path));
  writer->db_bytes_ = file_bytes(path);
  writer->wal_file_bytes_ = file_bytes(wal_path(path));
  writer->wal_used_bytes_ = wal_used_bytes;
  sqlite3_wal_hook(writer->db_.raw(), &segment_writer::on_wal_commit, writer.get());
  if (done = writer->bring_up_to_date(); !done) return done.error();
  const std::pair<sqlite_statement*, const char*> statements[] = {
      {&writer->begin_, "BEGIN IMMEDIATE"},
      {&writer->commit_, "COMMIT"},
      {&writer->rollback_, "ROLLBACK"},
      {&writer->insert_, "INSERT INTO block VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)"},
  };
  for (const auto& [statement, sql] : statements) {
    auto prepared = writer->db_.prepare(sql, true);
    if (!prepared) return prepared.error();
    *statement = std::move(*prepared);
  }
  if (done = writer->keys_.prepare(writer->db_); !done) return done.error();
  return writer;
}

result<void> segment_writer::check_place() const {
  const auto wal = wal_path(info_.path);
  for (const auto& [path, opened] : {std::pair{info_.path, db_file_}, {wal, wal_file_}})
    if (const auto now = identity_of(path); now != opened)
      return error{errc::io, path.string() + (now == file_identity{} ? " is not there any more"
                                                                     : " is another file now")};
  return {};
}

// A segment that an older version began is gone on with.
result<void> segment_writer::bring_up_to_date() {
  auto current = has_keys_table(db_);
  if (!current) return current.error();
  if (*current) return {};
  const auto sql = std::string{idempotency_schema} +
                   "UPDATE meta SET value = " + std::to_string(journal_format_version) +
                   " WHERE key = 'version';";
  return db_.in_transaction([&] { return db_.exec(sql.c_str()); });
}

int segment_writer::on_wal_commit(void* self, sqlite3*, const char*, int frames) {
  static_cast<segment_writer*>(self)->wal_used_bytes_ =
      wal_header_bytes + static_cast<std::uint64_t>(frames) * wal_frame_bytes;
  return SQLITE_OK;
}

result<void> segment_writer::append(const event_block& block, const block_encoder& columns) {
  if (!in_transaction())
    if (auto begun = begin_.run(); !begun) return begun;
  insert_.bind(1, block.first_seq);
  insert_.bind(2, static_cast<std::uint64_t>(block.size()));
  insert_.bind(3, block.time_ms);
  insert_.bind_text(4, block.stream);
  insert_.bind_text(5, columns.ends());
  insert_.bind_text(6, columns.types());
  if (columns.type_of().empty())
    insert_.bind_null(7);
  else
    insert_.bind_text(7, columns.type_of());
  insert_.bind_blob(8, columns.clients());
  if (columns.attributes().empty())
    insert_.bind_null(9);
  else
    insert_.bind_text(9, columns.attributes());
  insert_.bind_blob(10, block.bodies);
  if (auto inserted = insert_.run(); !inserted) return inserted;
  for (const auto& key : block.keys) {
    const idempotency_record record{key.key, key.content, block.first_seq + key.first, key.count,
                                    block.time_ms};
    if (auto inserted = keys_.insert(record); !inserted) return inserted;
  }
  return {};
}

result<std::uint64_t> segment_writer::take_keys_of(const fs::path& other, const std::string& vfs) {
  auto row_before =
      db_.prepare("SELECT seq + n FROM block WHERE seq < ?1 ORDER BY seq DESC LIMIT 1");
  if (!row_before) return row_before.error();
  if (!in_transaction())
    if (auto begun = begin_.run(); !begun) return begun.error();
  std::uint64_t taken = 0;
  result<void> done;
  const auto take = [&](const idempotency_record& record) {
    if (!done || record.count > max_events_per_block) return;
    row_before->bind(1, record.seq + record.count);
    const auto found = row_before->step();
    const bool is_here =
        found && *found && static_cast<std::uint64_t>(row_before->integer(0)) > record.seq;
    row_before->reset();
    if (!found) done = found.error();
    if (!is_here) return;
    done = keys_.insert(record);
    ++taken;
  };
  constexpr auto any_time_ms = std::numeric_limits<std::int64_t>::min();
  // Repeats by keys that can't be read are not known again: that keeps no segment for ever.
  if (auto read = visit_records(other, any_time_ms, take, vfs);
      !read && read.error().code != errc::corrupt)
    return read.error();
  if (!done) return done.error();
  return taken;
}

result<void> segment_writer::commit() {
  return commit_.run();
}

void segment_writer::rollback() {
  // SQLite has already rolled back by itself after some errors.
  if (in_transaction()) (void)rollback_.run();
}

result<void> segment_writer::note_moved_from(const std::vector<std::uint64_t>& numbers) {
  if (numbers.empty()) return {};
  std::string text;
  for (const auto number : numbers)
    text += (text.empty() ? "" : ",") + std::to_string(number);
  auto meta = db_.prepare("INSERT OR REPLACE INTO meta VALUES ('moved_from', ?1)");
  if (!meta) return meta.error();
  meta->bind_text(1, text);
  return meta->run();
}

result<void> segment_writer::seal(const segment_info& now,
                                  const std::vector<std::uint64_t>& moved_from) {
  if (!in_transaction())
    if (auto begun = begin_.run(); !begun) return begun;
  auto write = [&]() -> result<void> {
    auto meta = db_.prepare("INSERT OR REPLACE INTO meta VALUES ('sealed', 1), ('first_seq', ?1), "
                            "('last_seq', ?2), ('first_time_ms', ?3), ('last_time_ms', ?4)");
    if (!meta) return meta.error();
    meta->bind(1, now.first_seq);
    meta->bind(2, now.last_seq);
    meta->bind(3, now.first_time_ms);
    meta->bind(4, now.last_time_ms);
    if (auto done = meta->run(); !done) return done;
    auto stream = db_.prepare("INSERT OR REPLACE INTO stream VALUES (?1, ?2)");
    if (!stream) return stream.error();
    auto bytes = db_.prepare("INSERT OR REPLACE INTO meta VALUES ('body_bytes:' || ?1, ?2)");
    if (!bytes) return bytes.error();
    for (const auto& [name, events] : now.events) {
      stream->bind_text(1, name);
      stream->bind(2, events);
      if (auto done = stream->run(); !done) return done;
      const auto sum = now.body_bytes.find(name);
      bytes->bind_text(1, name);
      bytes->bind(2, sum == now.body_bytes.end() ? std::uint64_t{0} : sum->second);
      if (auto done = bytes->run(); !done) return done;
    }
    if (auto done = note_moved_from(moved_from); !done) return done;
    return commit_.run();
  };
  auto written = write();
  if (!written) rollback();
  return written;
}

std::uint64_t segment_writer::bytes() const {
  return db_bytes_ + std::max(wal_file_bytes_, wal_used_bytes_);
}

std::uint64_t segment_writer::used_bytes() const {
  return db_bytes_ + wal_used_bytes_;
}

} // namespace penstock
