// How a segment's log ends, and when one is taken for empty: only what is proven so is removed.
#include "storage/sqlite/wal_scan.hpp"
#include "tests/unit/storage/journal/damage_support.hpp"

using namespace penstock;
using namespace penstock::test;

namespace {

constexpr std::uint64_t first_frame = 32; // behind the log's header
constexpr std::uint64_t one_frame = 24 + 4096;

/// One segment with one transaction of several frames; gives its log.
fs::path make_one_transaction(const journal_options& options) {
  auto log = open_journal(options);
  append_and_commit(*log, numbered_block(1, 5, "default", 1500));
  return wal_path(segment_path(options.dir, 1));
}

/// One segment of 50 events in `commits` commits, and the next one that is prepared already. It is
/// in use when the process ends.
void make_one_segment(const journal_options& options, std::uint64_t commits) {
  auto log = open_journal(options);
  for (std::uint64_t i = 0; i < commits; ++i)
    append_and_commit(*log, numbered_block(i * 50 / commits + 1, 50 / commits));
  require_ok(segment_keeper::make(*log, options)->prepare());
}

} // namespace

TEST_CASE("no bit of the last log's header or first frame takes its events in silence",
          "[damage][slow]") {
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
    flip_bit(wal_path(db), offset, static_cast<int>(offset % 8));
    recovery_report report;
    std::vector<std::uint64_t> events;
    {
      auto log = open_journal(options, &report);
      events = numbers(read_all(*log));
      require_ok(segment_keeper::make(*log, options)->retire(1000, far_future_ms));
    }
    CHECK(events.empty());
    // A power cut tears the only transaction as a bit does; it tears no header, and not one of
    // five.
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
      const auto wal = make_one_transaction(options);
      frames = scan_wal(wal)->committed_frames;
      CHECK(frames > 2);
      flip_bit(wal, first_frame + frame * one_frame + byte, static_cast<int>(byte % 8));
      recovery_report report;
      const auto log = open_journal(options, &report);
      CHECK(read_all(*log).empty());
      // A bit may also make it look like two commits, which is damage.
      CHECK(report.torn.size() + report.damaged.size() == 1);
      CHECK(fs::exists(report.torn.empty() ? wal : options.dir / "damaged" / wal.filename()));
    }
}

TEST_CASE("whole frames without their commit are put aside and told", "[damage]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  const auto wal = make_one_transaction(options);
  const auto frames = scan_wal(wal)->committed_frames;
  fs::resize_file(wal, first_frame + (frames - 1) * one_frame);
  recovery_report report;
  const auto log = open_journal(options, &report);
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
  flip_bit(wal, first_frame + (whole - 5) * one_frame + 50, 1);
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
  SECTION("shorter than its header") {
    fs::resize_file(wal, 20);
  }
  SECTION("empty") {
    fs::resize_file(wal, 0);
  }
  SECTION("zeros for a header") {
    overwrite(wal, 0, std::string(32, '\0'));
  }
  SECTION("zeros for the first block") {
    overwrite(wal, 0, std::string(4096, '\0'));
  }
  SECTION("zeros for all") {
    fs::resize_file(wal, 0);
    fs::resize_file(wal, size);
  }
  SECTION("gone") {
    fs::remove(wal);
  }
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

TEST_CASE("a segment of an earlier version, whose log is not marked, is taken as it was",
          "[damage]") {
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
  const auto last_page =
      (fs::file_size(wal) - first_frame) / one_frame * one_frame + first_frame - 100;
  flip_bit(wal, last_page, 3);
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

TEST_CASE("an empty database file does not take its log with it", "[damage]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_three_segments(options);
  const auto db = segment_path(options.dir, GENERATE(1u, 2u, 3u));
  const auto log_bytes = fs::file_size(wal_path(db));
  fs::resize_file(db, 0);
  recovery_report report;
  (void)open_journal(options, &report);
  REQUIRE(report.damaged.size() == 1);
  CHECK(report.damaged[0].find(db.filename().string()) != std::string::npos);
  const auto aside = options.dir / "damaged" / wal_path(db).filename();
  REQUIRE(fs::exists(aside));
  CHECK(fs::file_size(aside) == log_bytes);
}

TEST_CASE("a log that lost its database and its header is put aside", "[damage]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_three_segments(options);
  const auto db = segment_path(options.dir, 2);
  fs::remove(db);
  overwrite(wal_path(db), 0, std::string(32, '\0'));
  recovery_report report;
  (void)open_journal(options, &report);
  CHECK(report.damaged.size() == 1);
  CHECK(fs::exists(options.dir / "damaged" / wal_path(db).filename()));
}

TEST_CASE("what is left of a segment whose making was cut short goes in silence", "[damage]") {
  const bool reused = GENERATE(true, false); // its log has frames of before, behind the mark
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_three_segments(options);
  const auto next = wal_path(segment_path(options.dir, 4));
  if (reused)
    fs::copy_file(wal_path(segment_path(options.dir, 1)), next);
  else
    std::ofstream{next} << std::string(50'000, '\0');
  if (reused) require_ok(mark_unused(next));
  recovery_report report;
  (void)open_journal(options, &report);
  CHECK(report.damaged.empty());
  CHECK(!fs::exists(options.dir / "damaged"));
}
