// Keys are stored with their events or not at all, outlive their segment, and old segments are
// read.
#include "storage/journal/idempotency_rows.hpp"
#include "storage/journal/idempotency_store.hpp"
#include "storage/journal/segment.hpp"
#include "tests/unit/storage/support.hpp"

using namespace penstock;
using namespace penstock::test;

namespace {

block_key key_of(std::uint64_t n, std::uint32_t first, std::uint32_t count) {
  return {{n << 60 | 5, ~n}, n + 1, first, count};
}

event_block keyed_block(std::uint64_t first_seq, std::size_t n) {
  auto block = numbered_block(first_seq, n);
  for (std::uint32_t i = 0; i < n; ++i)
    block.keys.push_back(key_of(first_seq + i, i, 1));
  return block;
}

std::vector<idempotency_record> records_of(journal& log, std::int64_t since_ms = 0) {
  std::vector<idempotency_record> found;
  for (const auto& segment : log.catalog()->list())
    require_ok(
        visit_records(segment.path, since_ms, [&](const auto& one) { found.push_back(one); }));
  return found;
}

std::vector<std::uint64_t> numbers_in(idempotency_store& store, std::int64_t since_ms = 0) {
  std::vector<std::uint64_t> seqs;
  require_ok(store.visit(since_ms, [&](const auto& one) { seqs.push_back(one.seq); }));
  return seqs;
}

void run_sql(const std::filesystem::path& file, const char* sql) {
  auto db = open_segment(file, sqlite_mode::read_write, {});
  require_ok(db);
  require_ok(db->exec(sql));
}

using rows = std::vector<std::pair<std::uint32_t, std::uint32_t>>;
rows places(const event_block& block) {
  rows out;
  for (const auto& key : block.keys)
    out.emplace_back(key.first, key.count);
  return out;
}

} // namespace

TEST_CASE("keys keep to their events when others go", "[idempotency]") {
  auto block = numbered_block(1, 8);
  block.keys = {key_of(1, 1, 3), key_of(2, 4, 1), key_of(3, 6, 2)};
  SECTION("some of each") {
    block.keep_only({false, false, true, true, false, true, false, true});
    CHECK(places(block) == rows{{0, 2}, {3, 1}});
    CHECK(block.keys[1].content == 4);
  }
  SECTION("cut short") {
    block.truncate(3);
    CHECK(places(block) == rows{{1, 2}});
  }
  SECTION("cut away") {
    block.truncate(1);
    CHECK(block.keys.empty());
  }
  SECTION("behind another block") {
    auto row = numbered_block(1, 5);
    row.keys = {key_of(9, 0, 5)};
    block.first_seq = 6;
    row.append(block);
    CHECK(places(row) == rows{{0, 5}, {6, 3}, {9, 1}, {11, 2}});
  }
  SECTION("used again") {
    block.clear();
    CHECK(block.keys.empty());
  }
}

TEST_CASE("a key is stored with its events", "[idempotency]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  auto log = open_journal(options);
  auto block = numbered_block(10, 5);
  block.keys = {key_of(3, 1, 2), key_of(4, 4, 1)};
  append_and_commit(*log, block);
  append_and_commit(*log, numbered_block(20, 3));
  CHECK(log->catalog()->list().back().keys == 2);
  log.reset();

  log = open_journal(options);
  CHECK(log->catalog()->list().back().keys > 0);
  const auto found = records_of(*log);
  REQUIRE(found.size() == 2);
  CHECK(found[0].key == key_of(3, 0, 0).key);
  CHECK(found[0].content == 4);
  CHECK(found[0].seq == 11);
  CHECK(found[0].count == 2);
  CHECK(found[0].time_ms == block.time_ms);
  CHECK(found[1].seq == 14);
  CHECK(records_of(*log, block.time_ms + 1).empty());
  CHECK(numbers(read_all(*log)).size() == 8);
}

TEST_CASE("a key that was not committed is not there", "[idempotency]") {
  temporary_dir dir;
  auto log = open_journal(options_in(dir.path()));
  append_and_commit(*log, keyed_block(1, 2));
  require_ok(log->append(keyed_block(10, 2)));
  CHECK(records_of(*log).size() == 2);
  require_ok(log->close());
  log.reset();
  log = open_journal(options_in(dir.path()));
  CHECK(records_of(*log).size() == 2);
}

TEST_CASE("keys of a retired segment are kept while they are in the window", "[idempotency]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  auto log = open_journal(options);
  auto opened = idempotency_store::open(dir.path(), log->tag(), 0);
  require_ok(opened);
  std::shared_ptr<idempotency_store> store = std::move(*opened);
  // The block's times are some_time_ms + seq; at `now` the window reaches back to that of seq 150.
  const auto now = some_time_ms + 1'150;
  auto keeper = segment_keeper::make(
      *log, options, {store, std::chrono::milliseconds{1000}, 1000, [=] { return now; }});
  for (std::uint64_t first : {101, 201, 301}) {
    append_and_commit(*log, keyed_block(first, 3));
    require_ok(log->rotate());
  }
  auto retired = keeper->retire(250, far_future_ms);
  require_ok(retired);
  CHECK(*retired == 2);
  CHECK(numbers_in(*store) == std::vector<std::uint64_t>{201, 202, 203}); // 101… left the window
  CHECK(records_of(*log).front().seq == 301);

  store.reset();
  keeper.reset();
  auto again = idempotency_store::open(dir.path(), log->tag(), 0);
  require_ok(again);
  CHECK(numbers_in(**again) == std::vector<std::uint64_t>{201, 202, 203});
  CHECK(numbers_in(**again, some_time_ms + 202).empty()); // one block, one time
}

TEST_CASE("no more keys are kept than may be, and none of another journal", "[idempotency]") {
  temporary_dir dir;
  auto log = open_journal(options_in(dir.path()));
  append_and_commit(*log, keyed_block(1, 10));
  const auto segment = log->catalog()->list().back().path;
  {
    auto store = idempotency_store::open(dir.path(), log->tag(), 0);
    require_ok(store);
    require_ok((*store)->keep(segment, 0, 4));
    require_ok((*store)->keep(segment, 0, 4)); // as after a crash
    CHECK(numbers_in(**store) == range(7, 10));
  }
  auto other = idempotency_store::open(dir.path(), "other-jo", 0);
  require_ok(other);
  CHECK(numbers_in(**other).empty());
}

TEST_CASE("a segment of the first format is read, and gone on with", "[idempotency]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  auto log = open_journal(options);
  append_and_commit(*log, numbered_block(1, 3));
  require_ok(log->rotate());
  append_and_commit(*log, numbered_block(4, 3));
  auto segments = log->catalog()->list();
  log.reset();
  for (const auto& segment : segments)
    run_sql(segment.path,
            "DROP TABLE idempotency; UPDATE meta SET value = 1 WHERE key = 'version'");

  recovery_report report;
  log = open_journal(options, &report);
  CHECK(report.damaged.empty());
  CHECK(numbers(read_all(*log)) == range(1, 6));
  CHECK(records_of(*log).empty());
  const auto next = log->next_seq();
  append_and_commit(*log, keyed_block(next, 2));
  log.reset();

  log = open_journal(options, &report);
  CHECK(report.damaged.empty());
  CHECK(records_of(*log).size() == 2);
  CHECK(numbers(read_all(*log)).size() == 8);
}
