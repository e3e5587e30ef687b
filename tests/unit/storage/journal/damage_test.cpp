// What damage to the files costs: the events it hit, a clear sentence, and nothing else.
#include "tests/unit/storage/journal/damage_support.hpp"

#include <functional>

using namespace penstock;
using namespace penstock::test;

TEST_CASE("no damage is reported where there is none", "[damage]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_three_segments(options);
  const auto found = reopen(options);
  CHECK(found.events == range(1, 600));
  CHECK(found.report.damaged.empty());
}

TEST_CASE("a sealed segment whose log was cut gives what is left", "[damage]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_three_segments(options);
  const auto db = segment_path(options.dir, 2);
  fs::resize_file(wal_path(db), fs::file_size(wal_path(db)) / 2);

  auto found = reopen(options);
  REQUIRE(found.report.damaged.size() == 1);
  CHECK(mentions(found, db.filename().string()));
  CHECK(mentions(found, event_id(401, "aaaaaaaa").substr(0, 16))); // up to here events are missing
  REQUIRE(found.segments.size() >= 2);
  CHECK(found.segments[1].damaged);
  const auto last = found.segments[1].last_seq;
  CHECK(last > 200);
  CHECK(last < 400);
  CHECK(found.events == without(last + 1, 400));

  // When its rest has been delivered it is put away, not unlinked.
  auto log = open_journal(options);
  require_ok(segment_keeper::make(*log, options)->retire(400, far_future_ms));
  CHECK(!fs::exists(db));
  CHECK(fs::exists(options.dir / "damaged" / db.filename()));
  CHECK(!fs::exists(segment_path(options.dir, 1)));
}

TEST_CASE("flipped bytes in the middle of the last segment are noticed", "[damage]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_three_segments(options);
  const auto wal = wal_path(segment_path(options.dir, 3));
  overwrite(wal, fs::file_size(wal) / 2, "damage!");
  const auto found = reopen(options);
  CHECK(found.report.damaged.size() == 1);
  CHECK(mentions(found, "000000000003.db"));
  CHECK(found.events.size() > 400);
  CHECK(found.events.size() < 600);
  CHECK(found.events == range(1, found.events.size()));
}

TEST_CASE("a torn end of the last segment is no damage", "[damage]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_three_segments(options);
  const auto wal = wal_path(segment_path(options.dir, 3));
  overwrite(wal, fs::file_size(wal) - 2000, "torn");
  const auto found = reopen(options);
  CHECK(found.report.damaged.empty());
  CHECK(found.events == range(1, 590));
}

TEST_CASE("a log that is gone costs its segment and no other", "[damage]") {
  const std::uint64_t number = GENERATE(1, 2, 3);
  CAPTURE(number);
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_three_segments(options);
  fs::remove(wal_path(segment_path(options.dir, number)));
  const auto found = reopen(options);
  CHECK(found.report.damaged.size() == 1);
  CHECK(mentions(found, segment_path({}, number).string()));
  CHECK(found.events == without((number - 1) * 200 + 1, number * 200));
}

TEST_CASE("a file that can't be opened is moved away at once", "[damage]") {
  using damage = std::function<void(const fs::path&)>;
  const auto [name, harm] = GENERATE(table<std::string, damage>({
      {"garbage",
       [](const fs::path& db) {
         std::ofstream{db} << std::string(20'000, 'x');
         fs::remove(wal_path(db));
       }},
      {"empty", [](const fs::path& db) { fs::resize_file(db, 0); }},
      {"another journal's",
       [](const fs::path& db) {
         remove_segment(db);
         require_ok(create_segment(db, 2, "zzzzzzzz", {}));
       }},
      {"database gone", [](const fs::path& db) { fs::remove(db); }},
  }));
  CAPTURE(name);
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_three_segments(options);
  const auto db = segment_path(options.dir, 2);
  harm(db);
  const auto found = reopen(options);
  CHECK(found.report.damaged.size() == 1);
  CHECK(mentions(found, db.string()));
  CHECK(found.events == without(201, 400));
  CHECK(!fs::exists(db));
  CHECK((fs::exists(options.dir / "damaged" / db.filename()) ||
         fs::exists(options.dir / "damaged" / wal_path(db).filename())));
}

TEST_CASE("a wiped database header costs nothing, or the segment, and says so", "[damage]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_three_segments(options);
  overwrite(segment_path(options.dir, 2), 0, std::string(100, '\0'));
  const auto found = reopen(options);
  // The log holds newer copies of most pages, the first included.
  if (found.report.damaged.empty())
    CHECK(found.events == range(1, 600));
  else
    CHECK(found.events == without(201, 400));
}

TEST_CASE("files that are none of ours are left alone", "[damage]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_three_segments(options);
  std::ofstream{options.dir / "notes.txt"} << "garbage";
  std::ofstream{options.dir / "123.db"} << "garbage";
  const auto found = reopen(options);
  CHECK(found.report.damaged.empty());
  CHECK(found.events == range(1, 600));
  CHECK(fs::exists(options.dir / "notes.txt"));
  CHECK(fs::exists(options.dir / "123.db"));
}

TEST_CASE("a row that contradicts itself is skipped and told", "[damage]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_three_segments(options);
  {
    auto db = open_segment(segment_path(options.dir, 2), sqlite_mode::read_write, {});
    require_ok(db);
    require_ok(db->exec("UPDATE block SET ends = '[1,2' WHERE seq = 221"));
  }
  auto log = open_journal(options);
  std::vector<std::string> damage;
  CHECK(numbers(read_all(*log, "default", 0, &damage)) == without(221, 230));
  REQUIRE(damage.size() == 1);
  CHECK(damage.front().find("000000000002.db") != std::string::npos);
  CHECK(damage.front().find("221 to 230") != std::string::npos);
}

TEST_CASE("a person's checkpoint does no harm", "[damage]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_three_segments(options);
  for (std::uint64_t number = 1; number <= 3; ++number) {
    // The last one to close a database checkpoints it and deletes the log, as the shell does.
    auto db = sqlite_database::open(segment_path(options.dir, number), sqlite_mode::read_write);
    require_ok(db);
    require_ok(db->exec("SELECT count(*) FROM block"));
  }
  CHECK(!fs::exists(wal_path(segment_path(options.dir, 3))));
  const auto found = reopen(options);
  CHECK(found.report.damaged.empty());
  CHECK(found.events == range(1, 600));
}

TEST_CASE("a journal whose directory is taken away from it notices", "[damage]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  auto log = open_journal(options);
  append_and_commit(*log, numbered_block(1, 5));
  require_ok(log->check_place());
  const auto away = dir.path() / "away";
  SECTION("moved, and moved back") {
    fs::rename(options.dir, away);
    CHECK(log->check_place().error().code == errc::io);
    CHECK(log->append(numbered_block(6, 5)).error().code == errc::io);
    fs::rename(away, options.dir);
    require_ok(log->check_place());
    append_and_commit(*log, numbered_block(11, 5));
    CHECK(numbers(read_all(*log))[5] == 11);
  }
  SECTION("within a transaction: nothing of it comes later") {
    require_ok(log->append(numbered_block(6, 5)));
    fs::rename(options.dir, away);
    CHECK_FALSE(log->check_place().has_value());
    CHECK(log->commit().error().code == errc::io);
    fs::rename(away, options.dir);
    require_ok(log->check_place());
    append_and_commit(*log, numbered_block(11, 5));
    CHECK(numbers(read_all(*log)).size() == 10);
    CHECK(numbers(read_all(*log))[5] == 11);
  }
  SECTION("another in its place") {
    fs::rename(options.dir, away);
    fs::copy(away, options.dir);
    CHECK(log->check_place().error().message.find("another file") != std::string::npos);
  }
  SECTION("its log removed") {
    fs::remove(wal_path(segment_path(options.dir, 1)));
    CHECK(log->check_place().error().message.find("000000000001.db-wal") != std::string::npos);
  }
  SECTION("the next segment") {
    require_ok(log->rotate());
    require_ok(log->check_place());
    fs::remove_all(options.dir);
    CHECK(log->check_place().error().code == errc::io);
  }
}

TEST_CASE("a tag that no segment has is the damage, not the segments", "[damage]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_three_segments(options);
  const auto file = options.dir / "tag";
  std::string tag(8, ' ');
  std::ifstream{file}.read(tag.data(), 8);
  SECTION("another one") {
    std::ofstream{file} << (tag == "abcdefgh" ? "hgfedcba\n" : "abcdefgh\n");
  }
  SECTION("gone") {
    fs::remove(file);
  }
  for (int start = 0; start < 2; ++start) {
    const auto opened = journal::open(options);
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.error().code == errc::corrupt);
    CHECK(opened.error().message.find("belong to the journal " + tag) != std::string::npos);
  }
  CHECK(!fs::exists(options.dir / "damaged"));
  std::ofstream{file} << tag << '\n'; // as the message says
  const auto found = reopen(options);
  CHECK(found.events == range(1, 600));
}

TEST_CASE("segments that were exchanged or copied are told", "[damage]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_three_segments(options);
  const auto one = segment_path(options.dir, 1), two = segment_path(options.dir, 2);
  SECTION("one over the other") {
    fs::copy_file(one, two, fs::copy_options::overwrite_existing);
    fs::copy_file(wal_path(one), wal_path(two), fs::copy_options::overwrite_existing);
    const auto found = reopen(options);
    CHECK(found.events == without(201, 400));
    REQUIRE(found.report.damaged.size() == 1);
    CHECK(mentions(found, "000000000002.db: it was segment 1 of this journal"));
  }
  SECTION("both") {
    const auto aside = dir.path() / "aside";
    fs::rename(one, aside);
    fs::rename(two, one);
    fs::rename(aside, two);
    fs::rename(wal_path(one), aside);
    fs::rename(wal_path(two), wal_path(one));
    fs::rename(aside, wal_path(two));
    const auto found = reopen(options);
    CHECK(found.events == range(401, 600));
    CHECK(found.report.damaged.size() == 2);
  }
}

TEST_CASE("a log that came beside an earlier segment's database hides no other segment",
          "[damage]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_three_segments(options);
  const auto one = segment_path(options.dir, 1), three = segment_path(options.dir, 3);
  fs::copy_file(wal_path(three), wal_path(one), fs::copy_options::overwrite_existing);
  const auto found = reopen(options);
  CHECK(found.events == range(201, 600));
  CHECK(found.report.damaged.size() == 1);
  CHECK(mentions(found, one.filename().string()));
  CHECK(fs::exists(options.dir / "damaged" / one.filename()));
}

TEST_CASE("a copy of the last log beside the next segment's database costs nothing", "[damage]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_three_segments(options);
  const auto three = segment_path(options.dir, 3), four = segment_path(options.dir, 4);
  std::string tag(8, ' ');
  std::ifstream{options.dir / "tag"}.read(tag.data(), 8);
  require_ok(create_segment(four, 4, tag, {}));
  fs::copy_file(wal_path(three), wal_path(four), fs::copy_options::overwrite_existing);
  (void)open_journal(options);
  CHECK(fs::exists(three)); // it is as it was
}

TEST_CASE("a segment that a person checkpointed is gone on with, at each start", "[damage]") {
  const bool emptied = GENERATE(true, false); // or its log removed
  temporary_dir dir;
  auto options = options_in(dir.path());
  options.preallocate = true;
  { append_and_commit(*open_journal(options), numbered_block(1, 10)); }
  const auto db = segment_path(options.dir, 1);
  {
    auto shell = sqlite_database::open(db, sqlite_mode::read_write);
    require_ok(shell->exec("PRAGMA wal_checkpoint(TRUNCATE)"));
  }
  if (!emptied) fs::remove(wal_path(db));
  std::vector<std::uint64_t> wanted = range(1, 10);
  for (int start = 0; start < 3; ++start) {
    recovery_report report;
    auto log = open_journal(options, &report);
    CHECK(report.damaged.empty());
    CHECK(report.torn.empty());
    wanted.push_back(log->next_seq());
    append_and_commit(*log, numbered_block(log->next_seq(), 1));
    CHECK(numbers(read_all(*log)) == wanted);
  }
}
