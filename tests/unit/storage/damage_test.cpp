// What damage to the files costs: the events it hit, a clear sentence, and nothing else.
#include "storage/segment.hpp"
#include "support.hpp"

#include <functional>

using namespace penstock;
using namespace penstock::test;
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t events_per_segment = 200;

/// Three segments of 200 events, ten a commit; only the last has no seal. It is in use.
void make_three_segments(const journal_options& options) {
  auto log = open_journal(options);
  for (std::uint64_t segment = 0; segment < 3; ++segment) {
    for (std::uint64_t i = 0; i < events_per_segment; i += 10)
      append_and_commit(*log, numbered_block(segment * events_per_segment + i + 1, 10));
    if (segment < 2) require_ok(log->rotate());
  }
}

void overwrite(const fs::path& file, std::uint64_t offset, const std::string& bytes) {
  std::fstream stream{file, std::ios::in | std::ios::out | std::ios::binary};
  stream.seekp(static_cast<std::streamoff>(offset));
  stream << bytes;
  REQUIRE(stream.good());
}

struct outcome {
  std::vector<std::uint64_t> events;
  recovery_report report;
  std::vector<segment_info> segments;
};

/// Opens after the damage, twice, and appends in between: the journal must go on.
outcome reopen(const journal_options& options) {
  outcome found;
  {
    auto log = open_journal(options, &found.report);
    found.events = numbers(read_all(*log));
    found.segments = log->catalog()->list();
    const auto next = log->next_seq();
    CHECK(next > 3 * events_per_segment);
    append_and_commit(*log, numbered_block(next, 5));
    CHECK(numbers(read_all(*log, "default", next - 1)) == range(next, next + 4));
  }
  auto again = open_journal(options);
  CHECK(numbers(read_all(*again)).size() == found.events.size() + 5);
  return found;
}

std::vector<std::uint64_t> without(std::uint64_t first, std::uint64_t last) {
  auto all = range(1, first - 1);
  for (const auto seq : range(last + 1, 3 * events_per_segment))
    all.push_back(seq);
  return all;
}

bool mentions(const outcome& found, const std::string& text) {
  for (const auto& sentence : found.report.damaged)
    if (sentence.find(text) != std::string::npos) return true;
  return false;
}

} // namespace

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
