// Moving what nearly empty segments still owe: what is owed stays, in its order, whenever it is cut
// short.
#include "storage/journal/segment_mover.hpp"

#include "storage/journal/idempotency_rows.hpp"
#include "storage/journal/segment_keeper.hpp"
#include "storage/sqlite/wal_vfs.hpp"
#include "tests/unit/storage/journal/damage_support.hpp"

#include <array>
#include <atomic>
#include <set>
#include <thread>

using namespace penstock;
using namespace penstock::test;

namespace {

/// Owes the events of these numbers.
class backlog_numbers final : public backlog_events {
 public:
  explicit backlog_numbers(std::set<std::uint64_t> numbers) : numbers_(std::move(numbers)) {}
  portion between(const std::string&, std::uint64_t first, std::uint64_t last) const override {
    const auto at = numbers_.lower_bound(first);
    return at == numbers_.end() || *at > last ? portion::none : portion::some;
  }
  bool is_in_backlog(const std::string&, std::uint64_t seq, std::uint64_t) const override {
    return numbers_.contains(seq);
  }
  std::vector<std::uint64_t> all() const { return {numbers_.begin(), numbers_.end()}; }

 private:
  std::set<std::uint64_t> numbers_;
};

constexpr std::uint64_t any_size = 1u << 30;

std::vector<segment_info> complete(const journal& log) {
  auto segments = log.catalog()->list();
  std::erase_if(segments, [](const segment_info& one) { return !one.sealed; });
  return segments;
}

std::vector<std::uint64_t> from_last_segment() {
  return range(2 * events_per_segment + 1, 3 * events_per_segment);
}

std::vector<std::uint64_t> joined(std::vector<std::uint64_t> a,
                                  const std::vector<std::uint64_t>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

std::set<std::string> names_in(const fs::path& dir) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator{dir})
    names.insert(entry.path().filename().string());
  return names;
}

} // namespace

TEST_CASE("what is owed of a segment is moved, with its numbers and in its order", "[move]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_three_segments(options);
  const backlog_numbers backlog{{3, 4, 5, 17, 200, 201, 333}};
  const auto expected = joined(backlog.all(), from_last_segment());
  {
    auto log = open_journal(options);
    const auto keeper = segment_keeper::make(*log, options);
    const auto before = log->bytes();
    require_ok(keeper->move(complete(*log), backlog, any_size));
    CHECK(numbers(read_all(*log)) == expected);
    const auto segments = log->catalog()->list();
    REQUIRE(segments.size() == 2);
    CHECK(segments[0].number == 1);
    CHECK(segments[0].sealed);
    CHECK(segments[0].events.at("default") == 7);
    CHECK(segments[0].first_seq == 3);
    CHECK(segments[0].last_seq == 333);
    CHECK(log->bytes() < before);
    CHECK(keeper->moved_bytes() == segments[0].bytes);
    CHECK(log->catalog()->moves() == 1);
    CHECK(log->catalog()->durable_seq() == 3 * events_per_segment);
  }
  recovery_report report;
  auto log = open_journal(options, &report);
  CHECK(report.damaged.empty());
  CHECK(numbers(read_all(*log)) == expected);
  CHECK_FALSE(fs::exists(moved_path(segment_path(options.dir, 1))));
  // And the bodies are theirs.
  for (const auto& block : read_all(*log))
    for (std::size_t i = 0; i < block->size(); ++i)
      CHECK(block->body(i) == numbered_block(block->first_seq + i, 1).body(0));
}

TEST_CASE("moved segments are moved again, with their neighbours", "[move]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_three_segments(options);
  auto log = open_journal(options);
  const auto keeper = segment_keeper::make(*log, options);
  require_ok(keeper->move({complete(*log)[0]}, backlog_numbers{{1, 100, 150}}, any_size));
  require_ok(keeper->move({complete(*log)[1]}, backlog_numbers{{222}}, any_size));
  CHECK(complete(*log).size() == 2);
  require_ok(keeper->move(complete(*log), backlog_numbers{{100, 222}}, any_size));
  CHECK(complete(*log).size() == 1);
  CHECK(numbers(read_all(*log)) == joined({100, 222}, from_last_segment()));
}

TEST_CASE("keys that can't be read keep no segment from being moved",
          "[move][idempotency][damage]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  auto log = open_journal(options);
  auto one = numbered_block(1, 10);
  one.keys = {block_key{{1, 2}, 3, 0, 2}, block_key{{4, 5}, 6, 4, 1}};
  append_and_commit(*log, one);
  require_ok(log->rotate());
  append_and_commit(*log, numbered_block(11, 1));
  auto db = sqlite_database::open(complete(*log)[0].path, sqlite_mode::read_write);
  require_ok(db);
  require_ok(db->exec("UPDATE idempotency SET key = x'00' WHERE seq > 1"));
  const auto keeper = segment_keeper::make(*log, options);
  require_ok(keeper->move(complete(*log), backlog_numbers{{1, 5}}, any_size));
  CHECK(numbers(read_all(*log)) == std::vector<std::uint64_t>{1, 5, 11});
}

TEST_CASE("what is moved keeps its idempotency keys", "[move][idempotency]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  const auto key = [](std::uint64_t n, std::uint32_t first, std::uint32_t count) {
    return block_key{{n, ~n}, n + 1, first, count};
  };
  auto log = open_journal(options);
  auto one = numbered_block(1, 10), other = numbered_block(11, 5), last = numbered_block(16, 5);
  one.keys = {key(1, 0, 2), key(2, 2, 1), key(3, 3, 5), key(4, 8, 2)};
  other.keys = {key(5, 0, 5)};
  last.keys = {key(6, 0, 1)};
  append_and_commit(*log, one);
  append_and_commit(*log, other);
  require_ok(log->rotate());
  append_and_commit(*log, last);
  const auto keeper = segment_keeper::make(*log, options);
  // Of the third key's events one in the middle and the last, of the fourth's the first.
  require_ok(keeper->move(complete(*log), backlog_numbers{{3, 5, 8, 9}}, any_size));
  SECTION("moved once") {}
  SECTION("moved again") {
    require_ok(keeper->move(complete(*log), backlog_numbers{{3, 5, 8, 9}}, any_size));
  }
  // Whole, since a repeat is answered with all its events' ids.
  std::vector<std::pair<std::uint64_t, std::uint32_t>> records;
  REQUIRE(complete(*log).size() == 1);
  CHECK(complete(*log)[0].keys == 3);
  require_ok(visit_records(complete(*log)[0].path, 0, [&](const idempotency_record& record) {
    CHECK(record.content == record.key.high + 1);
    records.emplace_back(record.seq, record.count);
  }));
  CHECK(records == std::vector<std::pair<std::uint64_t, std::uint32_t>>{{3, 1}, {4, 5}, {9, 2}});
  // A reader gives those of the events that are there.
  const auto reader = journal_reader::make(log->catalog());
  reader->want_keys();
  const auto all = [](const std::string&) { return true; };
  const auto blocks = reader->read_wanted(all, 0, no_limit_bytes, 100);
  require_ok(blocks);
  REQUIRE(blocks->size() == 4);
  const auto keys_of = [&](std::size_t row) {
    std::vector<std::array<std::uint64_t, 3>> out;
    for (const auto& one_key : blocks->at(row)->keys)
      out.push_back({one_key.key.high, one_key.first, one_key.count});
    return out;
  };
  using keys = std::vector<std::array<std::uint64_t, 3>>;
  CHECK(numbers(*blocks) == std::vector<std::uint64_t>{3, 5, 8, 9, 16, 17, 18, 19, 20});
  CHECK(keys_of(0) == keys{{2, 0, 1}});
  CHECK(keys_of(1) == keys{{3, 0, 1}});
  CHECK(keys_of(2) == keys{{3, 0, 1}, {4, 1, 1}});
  CHECK(keys_of(3) == keys{{6, 0, 1}});
}

TEST_CASE("what takes more than it may is not moved, and leaves nothing behind", "[move]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_three_segments(options);
  auto log = open_journal(options);
  const auto keeper = segment_keeper::make(*log, options);
  std::set<std::uint64_t> all;
  for (std::uint64_t seq = 1; seq <= events_per_segment; ++seq)
    all.insert(seq);
  const auto before = names_in(options.dir);
  const auto moved = keeper->move({complete(*log)[0]}, backlog_numbers{all}, 1);
  REQUIRE_FALSE(moved);
  CHECK(moved.error().code == errc::invalid);
  CHECK(names_in(options.dir) == before);
  CHECK(numbers(read_all(*log)) == range(1, 3 * events_per_segment));
  CHECK(*keeper->measure(complete(*log)[0], backlog_numbers{all}, any_size) >
        events_per_segment * event_overhead_bytes);
  CHECK(*keeper->measure(complete(*log)[0], backlog_numbers{{7}}, any_size) < 200);
  CHECK(*keeper->measure(complete(*log)[0], backlog_numbers{{}}, any_size) == 0);
}

TEST_CASE("a reader that has a segment open goes on when it is moved", "[move]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_three_segments(options);
  auto log = open_journal(options);
  const auto keeper = segment_keeper::make(*log, options);
  const auto reader = journal_reader::make(log->catalog());
  CHECK(numbers(*reader->read("default", 0, 1)).size() == 10); // a row of the first segment
  require_ok(keeper->move(complete(*log), backlog_numbers{{9, 250, 399}}, any_size));
  // The next read is of what is there now: nothing is left out, nothing comes twice.
  CHECK(numbers(*reader->read("default", 10, any_size)) == joined({250, 399}, from_last_segment()));
  CHECK(*reader->count_between("default", 0, 400) == 3);
  CHECK(reader->count_after("default", 0)->events == 203);
}

TEST_CASE("readers and moves work beside each other", "[move][slow]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  std::set<std::uint64_t> backlog;
  {
    auto log = open_journal(options);
    for (std::uint64_t segment = 0; segment < 40; ++segment) {
      append_and_commit(*log, numbered_block(segment * 10 + 1, 10));
      require_ok(log->rotate());
      backlog.insert(segment * 10 + 5);
    }
  }
  auto log = open_journal(options);
  const auto keeper = segment_keeper::make(*log, options);
  std::atomic<bool> ends{false};
  std::vector<std::thread> readers;
  std::atomic<int> faults{0};
  for (int i = 0; i < 2; ++i)
    readers.emplace_back([&] {
      const auto reader = journal_reader::make(log->catalog());
      while (!ends) {
        // In steps, so that moves come in between.
        std::vector<std::uint64_t> found;
        for (std::uint64_t after = 0;;) {
          const auto read = reader->read("default", after, 1);
          if (!read || read->empty()) {
            if (!read) ++faults;
            break;
          }
          for (const auto seq : numbers(*read))
            if (backlog.contains(seq)) found.push_back(seq);
          after = read->back()->last_seq();
        }
        if (found != std::vector<std::uint64_t>{backlog.begin(), backlog.end()}) ++faults;
        if (reader->count_after("default", 0)->events < backlog.size()) ++faults;
      }
    });
  while (complete(*log).size() > 1) {
    auto some = complete(*log);
    some.resize(std::min<std::size_t>(some.size(), 2));
    require_ok(keeper->move(some, backlog_numbers{backlog}, any_size));
  }
  ends = true;
  for (auto& reader : readers)
    reader.join();
  CHECK(faults == 0);
}

// A crash at each step: the directory as it is then is copied, and opened.
TEST_CASE("a move that is cut short anywhere loses nothing", "[move]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_three_segments(options);
  const auto first = segment_path(options.dir, 1), second = segment_path(options.dir, 2);
  const auto moved = moved_path(first);
  const backlog_numbers backlog{{8, 250}};
  const auto all = range(1, 3 * events_per_segment);
  const auto left = joined(backlog.all(), from_last_segment());
  {
    auto log = open_journal(options);
    const auto catalog = log->catalog();
    segment_mover mover{catalog, listed_in(options.dir), log->tag(), wal_vfs({}, true)};
    REQUIRE(mover.make(complete(*log), backlog, any_size).value());
    // make() was whole; finish() is done by hand below.
  }
  struct step {
    const char* what;
    std::function<void()> done;
    std::vector<std::uint64_t> expected;
  };
  const auto rename = [](const fs::path& from, const fs::path& to) { fs::rename(from, to); };
  const auto opened_copy = [&](const fs::path& changed_by_hand) {
    temporary_dir copy;
    auto copied = options_in(copy.path());
    fs::remove_all(copied.dir);
    fs::copy(options.dir, copied.dir, fs::copy_options::recursive);
    if (!changed_by_hand.empty()) overwrite(copied.dir / changed_by_hand, 60, "damaged");
    recovery_report report;
    auto log = open_journal(copied, &report);
    CHECK(report.damaged.empty());
    for (const auto& name : names_in(copied.dir))
      CHECK(name.find("moved") == std::string::npos);
    return numbers(read_all(*log));
  };
  CHECK(opened_copy(moved.filename().string() + "-wal") == all); // it can't be read: not made whole
  const step steps[] = {
      {"made", [] {}, left},
      {"the second may go",
       [&] { require_ok(listed_in(options.dir)->drop({second.filename().string()})); }, left},
      {"the first's log is away", [&] { rename(wal_path(first), first.string() + "-wal.tmp"); },
       left},
      {"the first's database too", [&] { fs::remove(first); }, left},
      {"the first is gone", [&] { fs::remove(first.string() + "-wal.tmp"); }, left},
      {"the second too", [&] { fs::remove(second), fs::remove(wal_path(second)); }, left},
      {"the log has its name", [&] { rename(wal_path(moved), wal_path(first)); }, left},
      {"all is done", [&] { rename(moved, first), fs::remove(shm_path(moved)); }, left},
  };
  for (const auto& [what, done, expected] : steps) {
    INFO(what);
    done();
    CHECK(opened_copy({}) == expected);
  }
}

TEST_CASE("what has not got its name yet is not moved over itself", "[move]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_three_segments(options);
  auto log = open_journal(options);
  segment_mover mover{log->catalog(), listed_in(options.dir), log->tag(), wal_vfs({}, true)};
  auto made = mover.make({complete(*log)[0]}, backlog_numbers{{8}}, any_size).value();
  REQUIRE(made);
  log->catalog()->put(made->to); // as a finish() leaves it that could not rename
  auto again = mover.make({made->to}, backlog_numbers{{8}}, any_size);
  REQUIRE_FALSE(again.has_value());
  CHECK(again.error().code == errc::invalid);
  CHECK(fs::exists(made->to.path));
}

TEST_CASE("a move that was not made whole is forgotten", "[move]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_three_segments(options);
  const auto moved = moved_path(segment_path(options.dir, 1));
  std::string tag;
  {
    auto log = open_journal(options);
    tag = log->tag();
  }
  require_ok(create_segment(moved, 1, tag, {}));
  SECTION("no seal") {}
  SECTION("no database") {
    fs::remove(moved);
  }
  SECTION("no log") {
    fs::remove(wal_path(moved));
  }
  SECTION("rubbish") {
    overwrite(moved, 0, std::string(4096, 'x'));
  }
  recovery_report report;
  auto log = open_journal(options, &report);
  CHECK(report.damaged.empty());
  CHECK(numbers(read_all(*log)) == range(1, 3 * events_per_segment));
  for (const auto& name : names_in(options.dir))
    CHECK(name.find("moved") == std::string::npos);
}

TEST_CASE("a move that can't be read any more is set aside, and said", "[move]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_three_segments(options);
  {
    auto log = open_journal(options);
    segment_mover mover{log->catalog(), listed_in(options.dir), log->tag(), wal_vfs({}, true)};
    REQUIRE(mover.make({complete(*log)[0]}, backlog_numbers{{8}}, any_size).value());
  }
  const auto first = segment_path(options.dir, 1);
  remove_segment(first);
  overwrite(wal_path(moved_path(first)), 60, "damaged");
  recovery_report report;
  auto log = open_journal(options, &report);
  REQUIRE(report.damaged.size() == 1);
  CHECK(report.damaged[0].find("not delivered are lost") != std::string::npos);
  CHECK(fs::exists(options.dir / "damaged" / moved_path(first).filename()));
}
