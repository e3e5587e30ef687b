// Damage that leaves no trace where it is: it is known by what lies beside it. Found by
// tests/crash/damage.
#include "storage/journal/replica_store.hpp"
#include "storage/journal/segment_mover.hpp"
#include "storage/sqlite/wal_scan.hpp"
#include "storage/sqlite/wal_vfs.hpp"
#include "tests/unit/storage/journal/damage_support.hpp"
#include "tests/unit/storage/stores/store_damage_support.hpp"

using namespace penstock;
using namespace penstock::test;

namespace {

void exchange(const fs::path& a, const fs::path& b) {
  const auto aside = a.string() + ".aside";
  fs::rename(a, aside);
  fs::rename(b, a);
  fs::rename(aside, b);
}

std::string id_of(const journal_options& options, std::uint64_t seq) {
  std::string tag(journal_tag_size, ' ');
  std::ifstream{options.dir / "tag"}.read(tag.data(), static_cast<std::streamsize>(tag.size()));
  return event_id(seq, tag);
}

/// Whether a sentence says that events between these were lost.
bool tells(const std::vector<std::string>& said, const journal_options& options,
           std::uint64_t after, std::uint64_t before) {
  const auto text = (after == 0 ? "" : "after " + id_of(options, after)) +
                    (after == 0 || before == 0 ? "" : " and ") +
                    (before == 0 ? "" : "before " + id_of(options, before));
  return std::ranges::any_of(said, [&](auto& one) { return one.find(text) != std::string::npos; });
}

struct recovered {
  std::vector<std::uint64_t> events;
  recovery_report report;
};

recovered open_once(const journal_options& options) {
  recovered found;
  const auto log = open_journal(options, &found.report);
  found.events = numbers(read_all(*log));
  return found;
}

class backlog_number final : public backlog_events {
 public:
  portion between(const std::string&, std::uint64_t, std::uint64_t) const override {
    return portion::some;
  }
  bool is_in_backlog(const std::string&, std::uint64_t seq, std::uint64_t) const override {
    return seq == 8;
  }
};

/// Three segments, of which the first is about to be moved; its files are gone already, but for a
/// copy of its log.
fs::path make_half_a_move(const journal_options& options) {
  make_three_segments(options);
  auto log = open_journal(options);
  segment_mover mover{log->catalog(), listed_in(options.dir), log->tag(), wal_vfs({}, true)};
  auto from = log->catalog()->list();
  from.resize(1);
  REQUIRE(mover.make(std::move(from), backlog_number{}, 1u << 30).value());
  log.reset();
  fs::copy_file(wal_path(segment_path(options.dir, 1)), options.dir.parent_path() / "old-log");
  remove_segment(segment_path(options.dir, 1));
  return moved_path(segment_path(options.dir, 1));
}

} // namespace

TEST_CASE("the log beside an empty database is kept", "[damage][silent]") {
  const std::uintmax_t bytes = GENERATE(0u, 1u); // SQLite takes both for empty
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_three_segments(options);
  const auto db = segment_path(options.dir, 2);
  const auto log_bytes = fs::file_size(wal_path(db));
  fs::resize_file(db, bytes);
  const auto found = open_once(options);
  CHECK(found.events == without(201, 400));
  REQUIRE(found.report.damaged.size() == 1);
  CHECK(tells(found.report.damaged, options, 200, 401));
  CHECK(found.report.damaged[0].find("its log is whole") != std::string::npos);
  CHECK(fs::file_size(options.dir / "damaged" / wal_path(db).filename()) == log_bytes);
}

TEST_CASE("a segment that is moved away names the events around it", "[damage][silent]") {
  const std::uint64_t number = GENERATE(1u, 2u, 3u);
  CAPTURE(number);
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_three_segments(options);
  const auto db = segment_path(options.dir, number);
  SECTION("its database is gone") {
    fs::remove(db);
  }
  SECTION("it is rubbish") {
    overwrite(db, 0, std::string(fs::file_size(db), 'x'));
  }
  const auto found = open_once(options);
  CHECK(found.events == without((number - 1) * 200 + 1, number * 200));
  REQUIRE(found.report.damaged.size() == 1);
  CHECK(
      tells(found.report.damaged, options, (number - 1) * 200, number == 3 ? 0 : number * 200 + 1));
  CHECK(found.report.damaged[0].find("0000000000000000-") == std::string::npos);
}

TEST_CASE("a segment whose log is gone is told once, with its ids, and moved away",
          "[damage][silent]") {
  const std::uint64_t number = GENERATE(1u, 2u);
  CAPTURE(number);
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_three_segments(options);
  const auto db = segment_path(options.dir, number);
  fs::remove(wal_path(db));
  const auto found = open_once(options);
  CHECK(found.events == without((number - 1) * 200 + 1, number * 200));
  REQUIRE(found.report.damaged.size() == 1);
  CHECK(tells(found.report.damaged, options, (number - 1) * 200, number * 200 + 1));
  CHECK(fs::exists(options.dir / "damaged" / db.filename()));
  CHECK(open_once(options).report.damaged.empty());
}

TEST_CASE("the last log beside an earlier segment's database hides no events", "[damage][silent]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_three_segments(options);
  const auto one = segment_path(options.dir, 1), three = segment_path(options.dir, 3);
  exchange(wal_path(one), wal_path(three));
  const auto found = open_once(options);
  CHECK(found.events == range(201, 400)); // the middle, which is whole
  CHECK(found.report.damaged.size() == 2);
  CHECK(tells(found.report.damaged, options, 0, 201));
  CHECK(tells(found.report.damaged, options, 400, 0));
  CHECK(tells(found.report.damaged, options, 400, 601)); // where they are now
}

TEST_CASE("an end of the last log that is gone without a trace is told", "[damage][silent]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  const auto wal = wal_path(segment_path(options.dir, 1));
  const auto older = dir.path() / "older";
  {
    auto log = open_journal(options);
    append_and_commit(*log, numbered_block(1, 10));
    fs::copy_file(wal, older);
    append_and_commit(*log, numbered_block(11, 1));
    append_and_commit(*log, numbered_block(12, 1));
  }
  const auto frames = scan_wal(wal)->committed_frames;
  std::uint64_t left = 11;
  SECTION("cut behind a transaction") {
    fs::resize_file(wal, frame_at(frames));
  }
  SECTION("its last frame zeroed") {
    overwrite(wal, frame_at(frames), std::string(one_frame_bytes, '\0'));
  }
  SECTION("as it was before") {
    fs::copy_file(older, wal, fs::copy_options::overwrite_existing);
    left = 10;
  }
  const auto found = open_once(options);
  CHECK(found.events == range(1, left));
  REQUIRE(found.report.damaged.size() == 1);
  CHECK(tells(found.report.damaged, options, left, 0));
}

TEST_CASE("a segment with a page that only its seal would touch is not gone on with",
          "[damage][silent]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  { append_and_commit(*open_journal(options), numbered_block(1, 10)); }
  const auto db = segment_path(options.dir, 1);
  overwrite(db, 2 * page_bytes, std::string(page_bytes, '\0')); // the table of streams
  const auto found = open_once(options);
  CHECK(found.events == range(1, 10));
  REQUIRE(found.report.damaged.size() == 1);
  CHECK(tells(found.report.damaged, options, 10, 0));
  auto log = open_journal(options);
  append_and_commit(*log, numbered_block(log->next_seq(), 1));
  require_ok(log->rotate());
}

TEST_CASE("ids go on far beyond when next-id is gone", "[damage][silent]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  {
    auto log = open_journal(options);
    append_and_commit(*log, numbered_block(1, 10));
    require_ok(log->rotate());
    require_ok(segment_keeper::make(*log, options)->retire(10, far_future_ms));
  }
  fs::remove(options.dir / "next-id");
  recovery_report report;
  CHECK(open_journal(options, &report)->next_seq() > 1'000'000'000);
  REQUIRE(report.damaged.size() == 1);
  CHECK(report.damaged[0].find("next-id is gone") != std::string::npos);
  recovery_report again;
  (void)open_journal(options, &again);
  CHECK(again.damaged.empty());
}

TEST_CASE("a tag that is gone is not drawn anew beside segments", "[damage][silent]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_three_segments(options);
  fs::remove(options.dir / "tag");
  const auto first = journal::open(options), second = journal::open(options);
  REQUIRE_FALSE(first.has_value());
  REQUIRE_FALSE(second.has_value());
  CHECK(first.error().message == second.error().message);
  CHECK_FALSE(fs::exists(options.dir / "tag"));
}

TEST_CASE("a wrong tag does not cost a move", "[move][silent]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  const auto moved = make_half_a_move(options);
  const auto tag = id_of(options, 1).substr(17);
  std::ofstream{options.dir / "tag"} << (tag == "abcdefgh" ? "hgfedcba\n" : "abcdefgh\n");
  const auto opened = journal::open(options);
  REQUIRE_FALSE(opened.has_value());
  CHECK(opened.error().code == errc::corrupt);
  CHECK(fs::exists(moved));
  std::ofstream{options.dir / "tag"} << tag << '\n';
  CHECK(open_once(options).events.front() == 8);
}

TEST_CASE("a move of which only a part is left is told, with its ids", "[move][silent]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  const auto moved = make_half_a_move(options);
  SECTION("no database") {
    fs::remove(moved);
  }
  SECTION("an empty one") {
    fs::resize_file(moved, 1);
  }
  SECTION("no log") {
    fs::remove(wal_path(moved));
  }
  SECTION("the log of before, where its own was renamed to") {
    fs::remove(wal_path(moved));
    fs::rename(options.dir.parent_path() / "old-log", wal_path(segment_path(options.dir, 1)));
  }
  const auto found = open_once(options);
  CHECK(found.events == range(201, 600));
  REQUIRE(found.report.damaged.size() == 1);
  CHECK(tells(found.report.damaged, options, 0, 201));
  CHECK(open_once(options).report.damaged.empty());
}

TEST_CASE("a store, or its log, in the place of another is told", "[stores][silent]") {
  const auto samples = all_samples();
  const bool only_logs = GENERATE(false, true);
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const auto& one = samples[i];
    const auto& other = samples[(i + 1) % samples.size()];
    CAPTURE(one.file, other.file, only_logs);
    temporary_dir dir;
    const auto living = dir.path() / "living", killed = dir.path() / "killed";
    one.fill(living, 0, items_made,
             [&] { other.fill(living, 0, items_made, [&] { copy_as_killed(living, killed); }); });
    if (!only_logs) exchange(killed / one.file, killed / other.file);
    exchange(wal_path(killed / one.file), wal_path(killed / other.file));
    for (const auto& sample : {one, other}) {
      store_report report;
      const auto count = sample.count(killed, report);
      CHECK((!count || report.damaged.size() == 1));
      if (!count) CHECK(count.error().message.find(sample.file) != std::string::npos);
    }
  }
}

TEST_CASE("a store whose log was cut to nothing, or whose database was, says so",
          "[stores][silent]") {
  const bool is_log = GENERATE(true, false);
  for (const auto& sample : all_samples()) {
    if (sample.file == "usage.db" && is_log) continue; // which is not synced
    CAPTURE(sample.file, is_log);
    temporary_dir dir;
    const auto killed = dir.path() / "killed";
    sample.fill(dir.path() / "living", 0, items_made,
                [&] { copy_as_killed(dir.path() / "living", killed); });
    fs::resize_file(is_log ? wal_path(killed / sample.file) : killed / sample.file, is_log ? 0 : 1);
    store_report report;
    const auto count = sample.count(killed, report);
    CHECK((!count || report.damaged.size() == 1));
  }
}

TEST_CASE("what SQLite says of a malformed page is one line", "[stores][silent]") {
  const auto sample = sample_named("cursors.db");
  temporary_dir dir;
  sample.fill(dir.path(), 0, items_made, {});
  overwrite(dir.path() / sample.file, page_bytes + 8, std::string(8, '\x0f')); // where its rows lie
  store_report report;
  require_ok(sample.count(dir.path(), report));
  REQUIRE(report.damaged.size() == 1);
  CHECK(report.damaged[0].find('\n') == std::string::npos);
}

TEST_CASE("a replica without its tag is told, and a damaged note of it only once",
          "[replica][silent]") {
  temporary_dir dir;
  replica_options options;
  options.dir = dir.path();
  options.preallocate = false;
  {
    auto held = replica_store::open(options);
    require_ok(held);
    require_ok((*held)->add_origin("aaaaaaaa", "n"));
    require_ok((*held)->append("aaaaaaaa", numbered_block(1, 5)));
    require_ok((*held)->commit("aaaaaaaa"));
    require_ok((*held)->forget_up_to("aaaaaaaa", 2));
  }
  const auto place = replica_dir(dir.path(), "aaaaaaaa");
  std::vector<std::string> first, second;
  SECTION("no tag") {
    fs::remove(place / "journal" / "tag");
    require_ok(replica_store::open(options, &first));
    REQUIRE(first.size() == 1);
    CHECK(first[0].find("left alone") != std::string::npos);
  }
  SECTION("a damaged note") {
    flip_bit(place / "forgotten", 15);
    require_ok(replica_store::open(options, &first));
    REQUIRE(first.size() == 1);
    require_ok(replica_store::open(options, &second));
    CHECK(second.empty());
  }
}
