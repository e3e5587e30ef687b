// Stores beside the journal notice a log that ends before its end; see store_opening.hpp.
#include "storage/journal/idempotency_store.hpp"
#include "storage/sqlite/rollback_journal.hpp"
#include "storage/stores/store_log.hpp"
#include "tests/unit/storage/stores/store_damage_support.hpp"

using namespace penstock;
using namespace penstock::test;

namespace {

bool is_refused(const store_sample& store) {
  return store.file == "accounts.db";
}

/// What a kill leaves of a store with ten items.
fs::path killed_store(const temporary_dir& dir, const store_sample& store) {
  const auto killed = dir.path() / "killed";
  store.fill(dir.path() / "alive", 0, items_made,
             [&] { copy_as_killed(dir.path() / "alive", killed); });
  return killed;
}

/// The damage is told once, nothing is done in silence, and the store goes on; gives what is left.
int check_told(const store_sample& store, const fs::path& dir) {
  store_report report;
  const auto left = store.count(dir, report);
  if (is_refused(store)) {
    REQUIRE(!left);
    CHECK(left.error().code == errc::corrupt);
    CHECK(left.error().message.find(store.file) != std::string::npos);
    CHECK(left.error().message.find("backup") != std::string::npos);
    CHECK(!fs::exists(dir / "damaged"));
    return 0;
  }
  require_ok(left);
  REQUIRE(report.damaged.size() == 1);
  CHECK(report.damaged[0].find(store.file) != std::string::npos);
  CHECK(fs::exists(dir / "damaged" / "1" / (store.file + "-wal")));
  // It goes on, and later starts say nothing.
  store.fill(dir, items_made, 1, {});
  store_report later;
  const auto again = store.count(dir, later);
  require_ok(again);
  CHECK(*again == *left + 1);
  CHECK(later.damaged.empty());
  CHECK(later.torn.empty());
  return *left;
}

} // namespace

TEST_CASE("a store that was killed or closed is whole, and nothing is told", "[stores]") {
  for (const auto& store : all_samples()) {
    CAPTURE(store.file);
    temporary_dir dir;
    for (const auto& place : {killed_store(dir, store), dir.path() / "alive"}) {
      store_report report;
      const auto count = store.count(place, report);
      require_ok(count);
      CHECK(*count == items_made);
      CHECK(report.damaged.empty());
      CHECK(report.torn.empty());
      CHECK(!fs::exists(place / "damaged"));
    }
  }
}

TEST_CASE("no bit of a killed store's log takes anything in silence", "[stores]") {
  for (const auto& store : all_samples()) {
    temporary_dir dir;
    const auto killed = killed_store(dir, store);
    const auto wal = wal_path(store.file);
    const auto frames = scan_wal(killed / wal)->committed_frames;
    REQUIRE(frames >= items_made);
    // Of the header; of three frames the header, and some of the page.
    std::vector<std::uint64_t> offsets;
    for (std::uint64_t i = 0; i < 32; i += 3)
      offsets.push_back(i);
    for (const auto frame : {std::uint64_t{1}, frames / 2, frames})
      for (const std::uint64_t inside : {3, 7, 8, 12, 20, 24, 4119})
        offsets.push_back(frame_at(frame) + inside);
    int round = 0;
    for (const auto offset : offsets) {
      CAPTURE(store.file, offset, frames);
      const auto hurt = dir.path() / std::to_string(++round);
      copy_as_killed(killed, hurt);
      flip_bit(hurt / wal, offset, static_cast<int>(offset % 8));
      if (store.file != "usage.db" || offset < frame_at(frames)) {
        CHECK(check_told(store, hurt) < items_made);
        continue;
      }
      // Usage is not synced, so that its last transaction may be torn.
      store_report report;
      require_ok(store.count(hurt, report));
      CHECK(report.torn.size() + report.damaged.size() == 1);
    }
  }
}

TEST_CASE("a store whose log was cut says so", "[stores]") {
  for (const auto& store : all_samples()) {
    CAPTURE(store.file);
    if (store.file == "usage.db") continue; // what is not synced may be cut
    temporary_dir dir;
    const auto killed = killed_store(dir, store);
    const auto wal = killed / wal_path(store.file);
    fs::resize_file(wal, 32 + (scan_wal(wal)->committed_frames / 2) * one_frame_bytes);
    CHECK(check_told(store, killed) < items_made);
  }
}

TEST_CASE("a torn last transaction is told once, and no damage", "[stores]") {
  for (const auto& store : all_samples()) {
    CAPTURE(store.file);
    temporary_dir dir;
    const auto killed = killed_store(dir, store);
    const auto wal = killed / wal_path(store.file);
    // After a power cut: the shared memory tells nothing of the last commit.
    fs::remove(shm_path(killed / store.file));
    flip_bit(wal, frame_at(scan_wal(wal)->committed_frames) + 100);
    store_report report;
    auto count = store.count(killed, report);
    require_ok(count);
    CHECK(*count == items_made - 1);
    CHECK(report.damaged.empty());
    CHECK(report.torn.size() == 1);
    store_report later;
    require_ok(store.count(killed, later));
    CHECK(later.torn.empty());
  }
}

TEST_CASE("frames of earlier generations are no damage", "[stores]") {
  temporary_dir dir;
  const auto store = sample_named("cursors.db"); // checkpointed every 128 pages
  const auto killed = dir.path() / "killed";
  store.fill(dir.path() / "alive", 0, 300, [&] { copy_as_killed(dir.path() / "alive", killed); });
  const auto wal = killed / "cursors.db-wal";
  const auto found = scan_wal(wal);
  CHECK(found->committed_frames < (fs::file_size(wal) - 32) / one_frame_bytes); // there are some
  store_report report;
  CHECK(*store.count(killed, report) == 300);
  CHECK(report.damaged.empty());
  CHECK(report.torn.empty());
}

TEST_CASE("what can be read of a log is not laid over a database that is newer", "[stores]") {
  for (const auto& file : {"dead-letters.db", "replays.db", "counters.db"}) {
    CAPTURE(file);
    temporary_dir dir;
    const auto store = sample_named(file);
    const auto alive = dir.path() / "alive", killed = dir.path() / "killed";
    store.fill(alive, 0, items_made, [&] {
      // Another program checkpoints it all; the log is written from its start only at the next
      // commit.
      auto shell = sqlite_database::open(alive / file, sqlite_mode::read_write);
      require_ok(shell);
      require_ok(shell->exec("PRAGMA wal_checkpoint(PASSIVE)"));
      copy_as_killed(alive, killed);
    });
    const auto wal = wal_path(killed / file);
    flip_bit(wal, frame_at(scan_wal(wal)->committed_frames / 2) + 200);
    CHECK(check_told(store, killed) == items_made); // nothing is lost
  }
}

TEST_CASE("a database that a checkpoint made newer than its log is known by the shared memory",
          "[stores]") {
  temporary_dir dir;
  const auto alive = dir.path() / "alive", killed = dir.path() / "killed";
  fs::create_directories(alive);
  auto db = sqlite_database::open(alive / "a.db", sqlite_mode::create);
  require_ok(db);
  sqlite3_wal_autocheckpoint(db->raw(), 0);
  require_ok(
      db->exec("PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; "
               "CREATE TABLE t(id INTEGER PRIMARY KEY, version, filler); " // a page each
               "INSERT INTO t VALUES (1, 0, zeroblob(3000)), (2, 0, zeroblob(3000)); "
               "PRAGMA wal_checkpoint(TRUNCATE); "
               "UPDATE t SET version = 1 WHERE id = 1; UPDATE t SET version = 2 WHERE id = 1; "
               "UPDATE t SET version = 3; PRAGMA wal_checkpoint(PASSIVE)"));
  copy_as_killed(alive, killed);
  const auto wal = wal_path(killed / "a.db");
  REQUIRE(scan_wal(wal)->committed_frames == 4);
  // Of the pages of the last commit only the second can be read, and no earlier frame has it.
  flip_bit(wal, frame_at(3) + 200);
  const auto log = read_store_log(killed / "a.db", true);
  require_ok(log);
  CHECK(log->end == log_end::damaged);
  CHECK(log->found.committed_frames == 2);
  CHECK(log->is_overtaken);
}

TEST_CASE("a store whose database is gone does not lose its log in silence", "[stores]") {
  for (const auto& store : all_samples()) {
    CAPTURE(store.file);
    temporary_dir dir;
    const auto killed = killed_store(dir, store);
    fs::remove(killed / store.file);
    CHECK(check_told(store, killed) == 0);
  }
}

TEST_CASE("a database that SQLite can't read is set aside whole, and begun anew", "[stores]") {
  for (const auto& store : all_samples()) {
    CAPTURE(store.file);
    temporary_dir dir;
    store.fill(dir.path(), 0, items_made, {});
    const auto db = dir.path() / store.file;
    std::ofstream{db} << std::string(20'000, 'x');
    store_report report;
    const auto left = store.count(dir.path(), report);
    if (is_refused(store)) {
      REQUIRE(!left);
      CHECK(left.error().code == errc::corrupt);
      CHECK(fs::file_size(db) == 20'000);
      continue;
    }
    require_ok(left);
    CHECK(*left == 0);
    REQUIRE(report.damaged.size() == 1);
    CHECK(report.damaged[0].find(db.string()) != std::string::npos);
    CHECK(fs::file_size(dir.path() / "damaged" / "1" / store.file) == 20'000);
    store_report later;
    store.fill(dir.path(), 0, 3, {});
    CHECK(*store.count(dir.path(), later) == 3);
    CHECK(later.damaged.empty());
  }
}

TEST_CASE("a page in the middle of a store is looked at when it is opened", "[stores]") {
  temporary_dir dir;
  const auto store = sample_named("dead-letters.db");
  store.fill(dir.path(), 0, 200, {});
  const auto db = dir.path() / store.file;
  std::fstream{db, std::ios::in | std::ios::out | std::ios::binary}.seekp(5 * 4096)
      << std::string(4096, '\xff');
  store_report report;
  require_ok(store.count(dir.path(), report));
  CHECK(report.damaged.size() == 1);
  CHECK(fs::exists(dir.path() / "damaged" / "1" / store.file));
}

TEST_CASE("a large store is looked at whole only by a check", "[stores]") {
  temporary_dir dir;
  const auto store = sample_named("counters.db");
  store.fill(dir.path(), 0, items_made, {});
  const auto db = dir.path() / store.file;
  {
    auto shell = sqlite_database::open(db, sqlite_mode::read_write);
    require_ok(shell);
    require_ok(shell->exec(
        "CREATE TABLE filler(x); CREATE INDEX of_filler ON filler(x); INSERT INTO filler "
        "VALUES (zeroblob(67000000)), (1), (2), (3)"));
    require_ok(shell->exec("PRAGMA wal_checkpoint(TRUNCATE)"));
    // An index that does not have what its table has.
    require_ok(
        shell->exec("PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = "
                    "(SELECT rootpage FROM sqlite_schema WHERE name = 'counter') WHERE name = "
                    "'of_filler'"));
  }
  REQUIRE(fs::file_size(db) > max_checked_store_bytes);
  store_report quick;
  CHECK(*store.count(dir.path(), quick) == items_made);
  CHECK(quick.damaged.empty());
  store_report thorough;
  thorough.checks_all_pages = true;
  require_ok(store.count(dir.path(), thorough));
  CHECK(thorough.damaged.size() == 1);
}

TEST_CASE("a rollback journal that takes a transaction back in part is noticed", "[stores]") {
  temporary_dir dir;
  const auto alive = dir.path() / "alive", killed = dir.path() / "killed";
  { require_ok(idempotency_store::open(alive, "aaaaaaaa", 0)); }
  {
    // A transaction that is written to the database before it ends, as one of many records is.
    auto db = sqlite_database::open(alive / "idempotency.db", sqlite_mode::read_write);
    require_ok(db);
    require_ok(
        db->exec("PRAGMA journal_mode = TRUNCATE; PRAGMA cache_size = 5;"
                 "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
                 "INSERT INTO idempotency SELECT i, 1, 1, zeroblob(16), zeroblob(8) FROM n;"
                 "BEGIN; UPDATE idempotency SET n = 2;"));
    copy_as_killed(alive, killed);
  }
  const auto journal = rollback_journal_path("idempotency.db");
  REQUIRE(fs::file_size(killed / journal) > 4096);
  int round = 0;
  // 515: the number of the first page becomes that of another, which no checksum covers.
  for (const int offset : {-1, 0, 5, 11, 14, 22, 26, 512, 515, 512 + 4 + 96, 512 + 4 + 4096}) {
    CAPTURE(offset);
    const auto hurt = dir.path() / std::to_string(++round);
    copy_as_killed(killed, hurt);
    if (offset >= 0) flip_bit(hurt / journal, static_cast<std::uint64_t>(offset));
    store_report report;
    int left = 0;
    {
      auto store = idempotency_store::open(hurt, "aaaaaaaa", 0, {}, &report);
      require_ok(store);
      require_ok(
          (*store)->visit(0, [&](const idempotency_record& record) { left += record.count == 1; }));
    }
    CHECK(report.damaged.size() == (offset >= 0 ? 1 : 0));
    CHECK(left ==
          (offset >= 0 ? 0 : 2000)); // the transaction is taken back whole, or the store begun anew
    if (offset >= 0) CHECK(fs::exists(hurt / "damaged" / "1" / journal));
    store_report later;
    require_ok(idempotency_store::open(hurt, "aaaaaaaa", 0, {}, &later));
    CHECK(later.damaged.empty());
  }
}

TEST_CASE("damage that comes again is put beside the one before", "[stores]") {
  temporary_dir dir;
  const auto store = sample_named("counters.db");
  for (int time = 1; time <= 3; ++time) {
    std::ofstream{dir.path() / store.file} << std::string(20'000, 'x');
    store_report report;
    require_ok(store.count(dir.path(), report));
    CHECK(report.damaged.size() == 1);
    CHECK(fs::exists(dir.path() / "damaged" / std::to_string(time) / store.file));
  }
}

TEST_CASE("no more damaged stores are put aside than the named bound", "[stores]") {
  temporary_dir dir;
  for (std::size_t i = 1; i <= max_damaged_stores; ++i)
    fs::create_directories(dir.path() / "damaged" / std::to_string(i));
  const auto store = sample_named("counters.db");
  std::ofstream{dir.path() / store.file} << std::string(20'000, 'x');
  store_report report;
  const auto opened = store.count(dir.path(), report);
  REQUIRE(!opened);
  CHECK(opened.error().message.find("damaged") != std::string::npos);
  CHECK(fs::file_size(dir.path() / store.file) == 20'000);
}
