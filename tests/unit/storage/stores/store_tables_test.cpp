// Stores that lost their tables, or whose tables are not those that were made; and what is no
// damage.
#include "storage/journal/idempotency_store.hpp"
#include "tests/unit/storage/stores/store_damage_support.hpp"

#include <fcntl.h>
#include <sys/resource.h>

using namespace penstock;
using namespace penstock::test;

namespace {

/// Those of all_samples(), and the store of idempotency keys, which counts what it can.
std::vector<store_sample> all_stores() {
  auto all = all_samples();
  all.push_back(sample_of(
      "idempotency.db",
      [](const fs::path& dir, store_report* report) {
        return idempotency_store::open(dir, "aaaaaaaa", 0, {}, report);
      },
      [](idempotency_store&, int) { return result<void>{}; },
      [](idempotency_store& store) {
        int records = 0;
        require_ok(store.visit(0, [&](const idempotency_record&) { ++records; }));
        return records;
      }));
  return all;
}

fs::path stopped_store(const temporary_dir& dir, const store_sample& store) {
  store.fill(dir.path() / "stopped", 0, items_made, {});
  return dir.path() / "stopped";
}

/// Told once as damage, or refused; later starts say nothing, or the same.
void check_lost(const store_sample& store, const fs::path& dir) {
  store_report report;
  const auto left = store.count(dir, report);
  if (store.file == "accounts.db") {
    REQUIRE(!left);
    CHECK(left.error().code == errc::corrupt);
    CHECK(left.error().message.find("accounts.db") != std::string::npos);
    CHECK(!fs::exists(dir / "damaged"));
    return;
  }
  require_ok(left);
  CHECK(*left == 0);
  REQUIRE(report.damaged.size() == 1);
  CHECK(report.damaged[0].find(store.file) != std::string::npos);
  CHECK(fs::exists(dir / "damaged" / "1" / store.file));
  store_report later;
  require_ok(store.count(dir, later));
  CHECK(later.damaged.empty());
}

std::uint64_t offset_of(const fs::path& file, const std::string& text) {
  std::ifstream in{file, std::ios::binary};
  const std::string content{std::istreambuf_iterator<char>{in}, {}};
  const auto at = content.find(text);
  REQUIRE(at != std::string::npos);
  return at;
}

} // namespace

TEST_CASE("a store that was cut to nothing is told, and not taken for a new one",
          "[stores][tables]") {
  for (const auto& store : all_stores()) {
    CAPTURE(store.file);
    temporary_dir dir;
    const auto place = stopped_store(dir, store);
    fs::resize_file(place / store.file, 0);
    check_lost(store, place);
  }
}

TEST_CASE("a store whose tables were in a log that is gone is told", "[stores][tables]") {
  for (const auto& store : all_samples()) {
    CAPTURE(store.file);
    temporary_dir dir;
    const auto killed = dir.path() / "killed";
    store.fill(dir.path() / "alive", 0, items_made,
               [&] { copy_as_killed(dir.path() / "alive", killed); });
    fs::remove(wal_path(killed / store.file));
    fs::remove(shm_path(killed / store.file));
    check_lost(store, killed);
  }
}

TEST_CASE("a log that is gone is told by the shared memory, of usage too", "[stores][tables]") {
  for (const auto& store : all_samples()) {
    CAPTURE(store.file);
    temporary_dir dir;
    const auto killed = dir.path() / "killed";
    store.fill(dir.path() / "alive", 0, items_made,
               [&] { copy_as_killed(dir.path() / "alive", killed); });
    fs::remove(wal_path(killed / store.file));
    store_report report;
    const auto left = store.count(killed, report);
    if (!left) report.damaged.push_back(left.error().message);
    REQUIRE(report.damaged.size() == 1);
    CHECK(report.damaged[0].find(store.file + "-wal is gone") != std::string::npos);
    if (!left)
      CHECK(left.error().message.find("Without its log nothing can be read") != std::string::npos);
  }
}

TEST_CASE("damaged accounts say what the database has without its log", "[stores][tables]") {
  temporary_dir dir;
  const auto store = sample_named("accounts.db");
  store.fill(dir.path() / "alive", 0, 3, {});
  store.fill(dir.path() / "alive", 3, 4,
             [&] { copy_as_killed(dir.path() / "alive", dir.path() / "killed"); });
  const auto wal = wal_path(dir.path() / "killed" / store.file);
  flip_bit(wal, frame_at(1) + 100);
  store_report report;
  const auto left = store.count(dir.path() / "killed", report);
  REQUIRE(!left);
  CHECK(left.error().message.find(
            "Without its log the database has 3 keys that are not revoked and 0 plans. ") !=
        std::string::npos);
}

TEST_CASE("no flipped bit of a schema or a header makes a start fail again and again",
          "[stores][tables]") {
  constexpr std::uint64_t header_bytes = 100;
  for (const auto& store : all_stores()) {
    temporary_dir dir;
    const auto place = stopped_store(dir, store);
    const auto size = fs::file_size(place / store.file);
    std::vector<std::uint64_t> offsets;
    for (std::uint64_t at = 0; at < header_bytes; ++at)
      offsets.push_back(at);
    std::ifstream in{place / store.file, std::ios::binary};
    const std::string content{std::istreambuf_iterator<char>{in}, {}};
    for (std::uint64_t at = header_bytes; at < std::min<std::uint64_t>(4096, size); at += 7)
      if (content[at] != 0) offsets.push_back(at);
    int round = 0;
    for (const auto at : offsets) {
      CAPTURE(store.file, at);
      const auto hurt = dir.path() / std::to_string(++round);
      copy_as_killed(place, hurt);
      flip_bit(hurt / store.file, at, static_cast<int>(at % 8));
      store_report report, later;
      const auto left = store.count(hurt, report);
      if (store.file == "accounts.db") {
        if (!left) CHECK(left.error().code == errc::corrupt);
      } else if (!left) { // a format that is damaged may be one to come: nothing is moved
        CHECK(left.error().message.find("newer penstock") != std::string::npos);
        CHECK(!fs::exists(hurt / "damaged"));
      } else {
        require_ok(store.count(hurt, later));
        CHECK(later.damaged.empty());
        // Open: a root page of usage.db that is another's passes for its table, which has no
        // checksums.
        const bool is_silent = store.file == "usage.db" || store.file == "idempotency.db";
        if (*left < items_made && !is_silent) CHECK(report.damaged.size() == 1);
        store.fill(hurt, items_made, 1, {});
      }
      fs::remove_all(hurt);
    }
  }
}

TEST_CASE("a table or a column with another name is damage of its store", "[stores][tables]") {
  for (const auto& [file, text] :
       std::vector<std::pair<std::string, std::string>>{{"counters.db", "idle_at INTEGER"},
                                                        {"counters.db", "counter(\n"},
                                                        {"cursors.db", "acked_ahead"},
                                                        {"replays.db", "stream TEXT"},
                                                        {"dead-letters.db", "letter(\n"},
                                                        {"accounts.db", "revoked_ms INTEGER"},
                                                        {"accounts.db", "key_sum WHERE"},
                                                        {"usage.db", "last_month"}}) {
    CAPTURE(file, text);
    temporary_dir dir;
    const auto store = sample_named(file);
    const auto place = stopped_store(dir, store);
    flip_bit(place / file, offset_of(place / file, text), 0);
    check_lost(store, place);
  }
}

TEST_CASE("too few descriptors move no store, and are no damage", "[stores][tables]") {
  for (const auto& store : all_stores()) {
    temporary_dir dir;
    const auto place = stopped_store(dir, store);
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    for (rlim_t free_ones = 0; free_ones < 6; ++free_ones) {
      CAPTURE(store.file, free_ones);
      const auto lowest = open_file(place / store.file, O_RDONLY)->get();
      const rlimit few{static_cast<rlim_t>(lowest) + free_ones, before.rlim_max};
      REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
      store_report report;
      const auto left = store.count(place, report);
      REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
      if (!left) CHECK(left.error().code == errc::io);
      CHECK(report.damaged.empty());
    }
    CHECK(!fs::exists(place / "damaged"));
    store_report report;
    require_ok(store.count(place, report));
    CHECK(report.damaged.empty());
  }
}

TEST_CASE("a store behind a symbolic link is looked at where it lies", "[stores][tables]") {
  for (const auto& store : all_samples()) {
    CAPTURE(store.file);
    temporary_dir dir;
    const auto far = dir.path() / "far", data = dir.path() / "data";
    store.fill(dir.path() / "alive", 0, items_made,
               [&] { copy_as_killed(dir.path() / "alive", far); });
    fs::create_directories(data);
    fs::create_symlink(far / store.file, data / store.file);
    const auto wal = wal_path(far / store.file);
    flip_bit(wal, frame_at(scan_wal(wal)->committed_frames / 2) + 100);
    store_report report;
    const auto left = store.count(data, report);
    if (!left) report.damaged.push_back(left.error().message);
    REQUIRE(report.damaged.size() == 1);
    CHECK(report.damaged[0].find(wal.string() + " is damaged") != std::string::npos);
    CHECK(fs::is_symlink(data / store.file));
    if (left) CHECK(fs::exists(far / "damaged" / "1" / store.file));
  }
}

TEST_CASE("a symbolic link to a store that can't be found stops the start", "[stores][tables]") {
  temporary_dir dir;
  for (const auto& store : all_samples()) {
    fs::create_symlink(dir.path() / "not mounted" / store.file, dir.path() / store.file);
    store_report report;
    const auto left = store.count(dir.path(), report);
    REQUIRE(!left);
    CHECK(left.error().code == errc::io);
    CHECK(left.error().message.find(store.file + " is a symbolic link") != std::string::npos);
  }
}

TEST_CASE("a store that is begun anew may be cut short, and is begun again", "[tables]") {
  for (const bool refuses : {false, true}) {
    CAPTURE(refuses);
    temporary_dir dir;
    const auto db = dir.path() / "some.db";
    store_kind kind{.mark = store_mark('x', 'y'), .holds = "things", .remedy = "Do something."};
    kind.refuses = refuses;
    const auto tables = [](sqlite_database& to) {
      return to.exec("CREATE TABLE IF NOT EXISTS thing(n)");
    };
    const auto no_room = [](sqlite_database&) -> result<void> {
      return error{errc::disk_full, "full"};
    };
    require_ok(open_store(db, kind, tables, nullptr));
    fs::remove(db);
    store_report first, second, third;
    CHECK(open_store(db, kind, no_room, &first).error().code == errc::disk_full);
    CHECK(first.damaged.size() == 1);
    require_ok(open_store(db, kind, tables, &second));
    CHECK(second.damaged.empty());
    // And from now on it must be there.
    fs::remove(db);
    require_ok(open_store(db, kind, tables, &third));
    CHECK(third.damaged.size() == 1);
  }
}

TEST_CASE("a store that refuses, and is empty, is left as it is", "[tables]") {
  temporary_dir dir;
  const auto db = dir.path() / "some.db";
  store_kind kind{.mark = store_mark('x', 'y'), .holds = "things", .remedy = "Do something."};
  kind.refuses = true;
  const auto tables = [](sqlite_database& to) {
    return to.exec("CREATE TABLE IF NOT EXISTS thing(n)");
  };
  require_ok(open_store(db, kind, tables, nullptr));
  fs::resize_file(db, 0);
  for (int start = 0; start < 2; ++start) {
    const auto opened = open_store(db, kind, tables, nullptr);
    REQUIRE(!opened);
    CHECK(opened.error().message.find("is empty") != std::string::npos);
    CHECK(fs::file_size(db) == 0);
  }
}
