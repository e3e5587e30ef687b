// What damage to the files costs: the events it hit, a clear sentence, and nothing else.
#include "storage/segment.hpp"
#include "storage/wal_scan.hpp"
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

// -- what looks empty ------------------------------------------------------------------------------

namespace {

constexpr std::uint64_t first_frame = 32; // behind the log's header
constexpr std::uint64_t one_frame = 24 + 4096;

/// One segment of 50 events in `commits` commits, and the next one that is prepared already. It is in
/// use when the process ends.
void make_one_segment(const journal_options& options, std::uint64_t commits) {
  auto log = open_journal(options);
  for (std::uint64_t i = 0; i < commits; ++i)
    append_and_commit(*log, numbered_block(i * 50 / commits + 1, 50 / commits));
  require_ok(segment_keeper::make(*log, options)->prepare());
}

void flip(const fs::path& file, std::uint64_t offset, int bit) {
  std::fstream stream{file, std::ios::in | std::ios::out | std::ios::binary};
  stream.seekg(static_cast<std::streamoff>(offset));
  const char was = static_cast<char>(stream.get());
  stream.seekp(static_cast<std::streamoff>(offset));
  stream.put(static_cast<char>(was ^ (1 << bit)));
  REQUIRE(stream.good());
}

} // namespace

TEST_CASE("no bit of the last log's header or first frame takes its events in silence", "[damage]") {
  const std::uint64_t commits = GENERATE(1u, 5u);
  const bool preallocate = GENERATE(false, true);
  // All of the header, the first frame's header, and some of its page.
  for (std::uint64_t offset = 0; offset < first_frame + 24 + 4096;
       offset += offset < first_frame + 24 ? 1 : 511) {
    CAPTURE(commits, preallocate, offset);
    temporary_dir dir;
    auto options = options_in(dir.path());
    options.preallocate = preallocate;
    make_one_segment(options, commits);
    const auto db = segment_path(options.dir, 1);
    flip(wal_path(db), offset, static_cast<int>(offset % 8));
    recovery_report report;
    std::vector<std::uint64_t> events;
    {
      auto log = open_journal(options, &report);
      events = numbers(read_all(*log));
      require_ok(segment_keeper::make(*log, options)->retire(1000, far_future_ms));
    }
    CHECK(events.empty());
    // A power cut tears the only transaction as a bit does; it tears no header, and not one of five.
    const bool torn = commits == 1 && offset >= first_frame;
    REQUIRE(report.damaged.size() == (torn ? 0 : 1));
    REQUIRE(report.torn.size() == (torn ? 1 : 0));
    CHECK((torn ? report.torn : report.damaged)[0].find("000000000001.db") != std::string::npos);
    CHECK(fs::exists(options.dir / "damaged" / db.filename()));
    CHECK(fs::exists(options.dir / "damaged" / wal_path(db).filename()));
  }
}

TEST_CASE("no bit of the only transaction's frames takes its events in silence", "[damage]") {
  std::uint64_t frames = 1;
  for (std::uint64_t frame = 0; frame < frames; ++frame)
    for (std::uint64_t byte = 0; byte < 24 + 8; ++byte) {
      CAPTURE(frame, byte);
      temporary_dir dir;
      const auto options = options_in(dir.path());
      auto log = open_journal(options);
      append_and_commit(*log, numbered_block(1, 5, "default", 1500));
      log.reset();
      const auto wal = wal_path(segment_path(options.dir, 1));
      frames = scan_wal(wal)->committed_frames;
      CHECK(frames > 2);
      flip(wal, first_frame + frame * one_frame + byte, static_cast<int>(byte % 8));
      recovery_report report;
      log = open_journal(options, &report);
      CHECK(read_all(*log).empty());
      // A bit may also make it look like two commits, which is damage.
      CHECK(report.torn.size() + report.damaged.size() == 1);
      CHECK(fs::exists(report.torn.empty() ? wal : options.dir / "damaged" / wal.filename()));
    }
}

TEST_CASE("whole frames without their commit are put aside and told", "[damage]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  auto log = open_journal(options);
  append_and_commit(*log, numbered_block(1, 5, "default", 1500));
  log.reset();
  const auto wal = wal_path(segment_path(options.dir, 1));
  const auto frames = scan_wal(wal)->committed_frames;
  fs::resize_file(wal, first_frame + (frames - 1) * one_frame);
  recovery_report report;
  log = open_journal(options, &report);
  CHECK(report.torn.size() == 1);
  CHECK(fs::exists(options.dir / "damaged" / wal.filename()));
}

TEST_CASE("a torn end is told once, however short what follows is", "[damage]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_one_segment(options, 1);
  auto log = open_journal(options);
  append_and_commit(*log, numbered_block(log->next_seq(), 20, "default", 2000)); // many frames
  log.reset();
  const auto wal = wal_path(segment_path(options.dir, 1));
  const auto whole = scan_wal(wal)->committed_frames;
  CHECK(whole > 8);
  flip(wal, first_frame + (whole - 5) * one_frame + 50, 1);
  for (int start = 0; start < 3; ++start) {
    recovery_report report;
    log = open_journal(options, &report);
    CHECK(report.torn.size() == (start == 0 ? 1 : 0));
    CHECK(report.damaged.empty());
    append_and_commit(*log, numbered_block(log->next_seq(), 1));
    log.reset();
  }
}

TEST_CASE("frames of before a checkpoint are not taken for this log's", "[damage]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_one_segment(options, 5);
  const auto wal = wal_path(segment_path(options.dir, 1));
  std::fstream file{wal, std::ios::in | std::ios::out | std::ios::binary};
  std::string salts(8, '\0');
  file.seekg(16);
  file.read(salts.data(), 8);
  // As SQLite writes it when a log begins anew: the first salt counted up, the second random.
  salts[3] = static_cast<char>(salts[3] - 1);
  salts[5] = static_cast<char>(salts[5] + 1);
  const auto frames = scan_wal(wal)->committed_frames;
  for (const auto frame : {frames - 2, frames - 1}) {
    file.seekp(static_cast<std::streamoff>(first_frame + frame * one_frame + 8));
    file.write(salts.data(), 8);
  }
  file.close();
  const auto scanned = scan_wal(wal);
  CHECK(scanned->broken_frames == 0);
  CHECK(scanned->committed_frames > 0);
}

TEST_CASE("a log whose begin is lost, or its end, is not taken for one never used", "[damage]") {
  const bool preallocate = GENERATE(false, true);
  temporary_dir dir;
  auto options = options_in(dir.path());
  options.preallocate = preallocate;
  make_one_segment(options, 5);
  const auto wal = wal_path(segment_path(options.dir, 1));
  const auto size = fs::file_size(wal);
  SECTION("shorter than its header") { fs::resize_file(wal, 20); }
  SECTION("empty") { fs::resize_file(wal, 0); }
  SECTION("zeros for a header") { overwrite(wal, 0, std::string(32, '\0')); }
  SECTION("zeros for the first block") { overwrite(wal, 0, std::string(4096, '\0')); }
  SECTION("zeros for all") {
    fs::resize_file(wal, 0);
    fs::resize_file(wal, size);
  }
  SECTION("gone") { fs::remove(wal); }
  recovery_report report;
  const auto log = open_journal(options, &report);
  CHECK(report.damaged.size() == 1);
  CHECK(fs::exists(segment_path(options.dir, 1)));
}

TEST_CASE("a log that is shorter than it was made is damaged", "[damage]") {
  temporary_dir dir;
  auto options = options_in(dir.path());
  options.preallocate = true;
  make_one_segment(options, 5);
  const auto wal = wal_path(segment_path(options.dir, 1));
  fs::resize_file(wal, first_frame + (scan_wal(wal)->committed_frames - 2) * one_frame);
  recovery_report report;
  const auto log = open_journal(options, &report);
  CHECK(!read_all(*log).empty());
  CHECK(report.damaged.size() == 1);
}

TEST_CASE("a segment of an earlier version, whose log is not marked, is taken as it was", "[damage]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_one_segment(options, 5);
  const auto next = segment_path(options.dir, 2);
  {
    auto db = sqlite_database::open(next, sqlite_mode::read_write);
    require_ok(db->exec("PRAGMA journal_mode = DELETE; DELETE FROM meta WHERE key = 'log_bytes'; "
                        "PRAGMA journal_mode = WAL"));
  }
  std::ofstream{wal_path(next)} << std::string(50'000, '\0');
  recovery_report report;
  const auto log = open_journal(options, &report);
  CHECK(numbers(read_all(*log)) == range(1, 50));
  CHECK(report.damaged.empty());
  CHECK(report.torn.empty());
}

TEST_CASE("a log that was begun and holds nothing is not taken for one never used", "[damage]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_one_segment(options, 1);
  const auto wal = wal_path(segment_path(options.dir, 1));
  const auto size = fs::file_size(wal);
  fs::resize_file(wal, first_frame);
  fs::resize_file(wal, size); // zeros
  recovery_report report;
  auto log = open_journal(options, &report);
  CHECK(report.torn.size() == 1);
  CHECK(fs::exists(options.dir / "damaged" / wal.filename()));
}

TEST_CASE("a last transaction that can't be read is told, not called damage", "[damage]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_three_segments(options);
  const auto wal = wal_path(segment_path(options.dir, 3));
  const auto last_page = (fs::file_size(wal) - first_frame) / one_frame * one_frame + first_frame - 100;
  flip(wal, last_page, 3);
  const auto found = reopen(options);
  CHECK(found.events == range(1, 590));
  CHECK(found.report.damaged.empty());
  REQUIRE(found.report.torn.size() == 1);
  CHECK(found.report.torn[0].find("000000000003.db") != std::string::npos);
  CHECK(found.report.torn[0].find(event_id(590, "aaaaaaaa").substr(0, 16)) != std::string::npos);
}

TEST_CASE("what was prepared and never used is removed without a word", "[damage]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_one_segment(options, 5);
  REQUIRE(fs::exists(segment_path(options.dir, 2)));
  recovery_report report;
  auto log = open_journal(options, &report);
  CHECK(numbers(read_all(*log)) == range(1, 50));
  CHECK(report.damaged.empty());
  CHECK(report.torn.empty());
  CHECK(!fs::exists(segment_path(options.dir, 2)));
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
  SECTION("gone") { fs::remove(file); }
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
