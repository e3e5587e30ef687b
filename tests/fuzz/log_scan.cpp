// A write-ahead log that SQLite made and the input damages: the first bytes say which transactions,
// rollbacks and checkpoints, the rest what becomes of the file. What the scan says of it is
// compared with what SQLite takes of it, and with what is known of how it was made.
#include "storage/journal/segment.hpp"
#include "storage/sqlite/sqlite.hpp"
#include "storage/sqlite/wal_scan.hpp"
#include "storage/stores/store_log.hpp"
#include "tests/fuzz/disk_damage.hpp"
#include "tests/fuzz/target.hpp"

#include <cstring>
#include <optional>

using namespace penstock;
using namespace penstock::fuzz;

namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_steps = 12, rows = 8;
constexpr auto db_name = "store.db", log_name = "store.db-wal", index_name = "store.db-shm";

void must(const result<void>& done) {
  expect(done.has_value(), done ? "" : done.error().message.c_str());
}

sqlite_database open_store_db(const fs::path& dir, sqlite_mode mode) {
  auto db = sqlite_database::open(dir / db_name, mode);
  expect(db.has_value(), "the database can be opened");
  sqlite3_db_config(db->raw(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_wal_autocheckpoint(db->raw(), 0);
  return std::move(*db);
}

/// A database in which each row fills a page.
file_images empty_store() {
  const auto dir = scratch_dir() / "empty";
  write_files(dir, {});
  {
    auto db = open_store_db(dir, sqlite_mode::create);
    must(db.exec("PRAGMA page_size = 4096; PRAGMA journal_mode = MEMORY; "
                 "CREATE TABLE t(id INTEGER PRIMARY KEY, version INTEGER, filler BLOB)"));
    for (std::size_t row = 0; row < rows; ++row)
      must(db.exec(
          ("INSERT INTO t VALUES (" + std::to_string(row) + ", 0, zeroblob(3000))").c_str()));
    must(db.exec("PRAGMA journal_mode = WAL"));
  }
  auto files = read_files(dir);
  files.erase(log_name), files.erase(index_name);
  return files;
}

/// How many frames SQLite takes, as it tells its connections; none where it has not looked.
std::optional<std::uint64_t> frames_taken(const fs::path& dir) {
  constexpr std::size_t is_made_at = 12, frames_at = 16, needed = 20;
  const auto index = read_whole(dir / index_name);
  if (index.size() < needed || index[is_made_at] != 1) return {};
  std::uint32_t frames;
  std::memcpy(&frames, index.data() + frames_at, sizeof frames);
  return frames;
}

/// The versions of all rows; "" where SQLite can't read them.
std::string versions_in(sqlite_database& db) {
  auto select = db.prepare("SELECT group_concat(version) FROM (SELECT version FROM t ORDER BY id)");
  if (!select) return {};
  const auto row = select->step();
  return row && *row ? std::string{select->bytes(0)} : std::string{};
}

struct made_log {
  file_images files;        ///< as a kill leaves them
  std::uint64_t frames = 0; ///< up to the last commit
  std::string versions;     ///< of all rows, after the last commit
  bool is_copied = false;   ///< all of it is in the database, too
  bool has_rollback = false;
};

/// Carries out the steps that the input begins with: a byte for how many, then two for each.
made_log make_log(command_bytes& script) {
  static const auto base = empty_store();
  const auto dir = scratch_dir() / "made";
  write_files(dir, base);
  fix_sqlite_randomness();
  made_log made;
  auto db = open_store_db(dir, sqlite_mode::read_write);
  for (auto left = script.byte() % max_steps; left > 0; --left) {
    const auto kind = script.byte() % 8, mask = script.byte() | 1;
    if (kind == 7) {
      must(db.exec("PRAGMA wal_checkpoint(FULL)"));
      made.is_copied = true;
      continue;
    }
    must(db.exec("BEGIN IMMEDIATE"));
    must(db.exec(
        ("UPDATE t SET version = version + 1 WHERE (1 << id) & " + std::to_string(mask)).c_str()));
    if (kind == 6) { // its frames are in the log, without a commit
      sqlite3_db_cacheflush(db.raw());
      must(db.exec("ROLLBACK"));
      made.has_rollback = true;
    } else {
      must(db.exec("COMMIT"));
      made.is_copied = false;
    }
  }
  made.versions = versions_in(db);
  made.files = read_files(dir);
  made.frames = frames_taken(dir).value_or(0);
  return made;
}

std::size_t frame_at(std::uint64_t frame) {
  return wal_header_bytes + (frame - 1) * wal_frame_bytes;
}

bool is_same(const std::string& one, const std::string& other, std::size_t at, std::size_t bytes) {
  return at + bytes <= one.size() && one.compare(at, bytes, other, at, bytes) == 0;
}

/// What is left of the log, by comparing it with the one that was made.
struct remains {
  bool is_whole = false; ///< nothing was altered
  bool has_header = false;
  std::uint64_t committed = 0; ///< frames up to the last commit before the first that is altered
  std::uint64_t altered = 0;   ///< frames
  std::uint64_t commits_beyond = 0; ///< whole frames whose headers are as they were
};

remains compare(const made_log& made, const std::string& log) {
  remains left;
  const auto& before = made.files.at(log_name);
  left.is_whole = log == before;
  left.has_header = is_same(log, before, 0, wal_header_bytes);
  for (std::uint64_t frame = 1; frame <= made.frames; ++frame) {
    const auto at = frame_at(frame);
    const bool commits = before.compare(at + 4, 4, std::string_view{"\0\0\0\0", 4}) != 0;
    if (!is_same(log, before, at, wal_frame_bytes)) ++left.altered;
    if (!commits) continue;
    if (left.has_header && left.altered == 0)
      left.committed = frame;
    else if (at + wal_frame_bytes <= log.size() && is_same(log, before, at, wal_frame_header_bytes))
      ++left.commits_beyond;
  }
  return left;
}

wal_scan scan(const fs::path& log) {
  std::uint64_t seen = 0;
  const auto found = scan_wal(log, [&](const wal_frame& frame) {
    expect(frame.number == ++seen, "frames are counted from 1");
    expect(frame.content.size() == page_bytes, "a frame holds a page");
  });
  expect(found.has_value(), "a log can be scanned whatever it holds");
  const auto size = fs::exists(log) ? fs::file_size(log) : 0;
  expect(seen == (size < wal_header_bytes ? 0 : (size - wal_header_bytes) / wal_frame_bytes),
         "each whole frame is looked at, and nothing else");
  expect(found->committed_frames <= seen && found->last_frame <= seen,
         "no frame lies beyond the end");
  return *found;
}

/// What SQLite makes of the files, on a copy.
struct sqlite_view {
  std::optional<std::uint64_t> frames;
  std::string versions;
};

sqlite_view ask_sqlite(file_images files) {
  const auto dir = scratch_dir() / "asked";
  files.erase(index_name);
  write_files(dir, files);
  auto db = open_store_db(dir, sqlite_mode::read_write);
  auto versions = versions_in(db);
  return {frames_taken(dir), std::move(versions)};
}

void check_scan(const wal_scan& found, const made_log& made, const remains& left) {
  expect(found.has_header == left.has_header, "a header is good when it is as it was");
  expect(found.committed_frames == left.committed, "frames are good up to the first that is not");
  if (left.has_header && left.commits_beyond > 1)
    expect(found.damaged(), "commits beyond the first bad frame are damage");
  if (left.has_header && left.committed < made.frames)
    expect(found.damaged() || found.torn() || left.commits_beyond == 0,
           "what can't be read is noticed");
  if (left.is_whole) {
    expect(!found.damaged(), "what is as it was is no damage");
    if (!made.has_rollback) expect(!found.torn(), "nor torn");
  }
}

void check_torn_end(const fs::path& dir, const wal_scan& found) {
  must(forget_torn_end(dir / log_name, found));
  const auto now = scan(dir / log_name);
  expect(now.committed_frames == found.committed_frames, "what is good stays");
  expect(now.broken_frames == 0 && now.uncommitted_frames == 0, "a torn end is told once");
}

/// What the store's opening is told of the log. `seen`: what SQLite reads with what is left of it.
void check_store_log(const fs::path& dir, const made_log& made, const remains& left,
                     bool is_index_there, const sqlite_view& seen) {
  const auto before = read_files(dir);
  const auto log = read_store_log(dir / db_name, true);
  expect(log.has_value(), "a store's log can be judged whatever it holds");
  expect(read_files(dir) == before, "a look changes nothing");
  if (made.frames == 0) return;
  if (left.is_whole) {
    expect(log->end == log_end::whole || (made.has_rollback && log->end == log_end::torn),
           "what is as it was is no damage");
  } else if (left.has_header &&
             (left.commits_beyond > 1 || (is_index_there && left.committed < made.frames))) {
    expect(log->end == log_end::damaged, "lost commits are damage");
    // Without the index this can't be known where the frame that is bad held the only later page.
    if (is_index_there && made.is_copied && left.altered == 1 && log->has_readable_part())
      expect(seen.versions == made.versions, "old pages are not laid over new ones");
  }
}

} // namespace

PENSTOCK_FUZZ_TARGET(log_scan)(std::string_view input) {
  command_bytes script{input};
  const bool reseals = script.byte() % 4 == 3;
  const auto made = make_log(script);
  auto files = made.files;
  if (files.count(log_name) == 0) return;
  damage_files(script, files, {log_name, log_name, log_name, index_name});
  if (files.count(log_name) == 0) return;
  auto& log = files[log_name];
  if (reseals) reseal_log(log);

  const auto dir = scratch_dir() / "damaged";
  write_files(dir, files);
  const auto found = scan(dir / log_name);
  const auto left = compare(made, log);
  const auto seen = ask_sqlite(files);
  if (seen.frames && !found.has_other_pages)
    expect(*seen.frames == found.committed_frames, "SQLite takes the frames that the scan takes");
  if (!reseals) check_scan(found, made, left);
  if (!reseals)
    check_store_log(dir, made, left,
                    files.count(index_name) != 0 && files[index_name] == made.files.at(index_name),
                    seen);
  // Salts of zeros, which nobody draws by chance, are in all frames that were zeroed.
  if (found.torn() && found.salts != decltype(found.salts){}) check_torn_end(dir, found);
}
