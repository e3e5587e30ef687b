// Room in the middle of a real journal: what goes, what is moved, and what stays.
#include "actors/retention/space_maker.hpp"
#include "storage/journal/segment.hpp"
#include "tests/unit/actors/fixture.hpp"
#include "tests/unit/storage/support.hpp"

#include <catch2/catch.hpp>

using namespace penstock;
using namespace penstock::test;

namespace {

constexpr std::size_t event_body_bytes = 2000;
constexpr std::uint64_t per_segment = 100;

/// Segments of a hundred events of 2,000 bytes: the first of each is of the stream "unread".
class space_world {
 public:
  space_world() : options(options_in(dir.path() / "journal")) {
    options.max_bytes = 64u << 20;
    log = open_journal(options);
    cursors = cursor_store::open(dir.path()).value();
  }

  void fill(std::uint64_t segments) {
    for (std::uint64_t i = 0; i < segments; ++i) {
      append_and_commit(*log, numbered_block(next, 1, "unread", 10));
      append_and_commit(*log, numbered_block(next + 1, per_segment - 1, "read", event_body_bytes));
      next += per_segment;
      require_ok(log->rotate());
    }
  }

  /// Nobody reads any of it.
  void fill_unread(std::uint64_t segments) {
    for (std::uint64_t i = 0; i < segments; ++i) {
      append_and_commit(*log, numbered_block(next, per_segment, "unread", event_body_bytes));
      next += per_segment;
      require_ok(log->rotate());
    }
  }

  space_maker maker() {
    return space_maker{
        {segment_keeper::make(*log, options), log->catalog(),
         backlog_by_cursors(cursors, {{"queue", [](const std::string&) { return true; }}}, "queue"),
         max_bytes, options.segment_max_bytes, pass_max_bytes}};
  }
  space_maker::outcome pass(space_maker& by, std::int64_t before_ms = far_future_ms) {
    now_ms += 100'000;
    return by.make_room(before_ms, [this] { return now_ms; });
  }
  void consume(std::uint64_t up_to) { require_ok(cursors->save({{"read", "queue", up_to, {}}})); }
  std::vector<std::uint64_t> unread() { return numbers(read_all(*log, "unread")); }

  temporary_dir dir;
  journal_options options;
  std::uint64_t max_bytes = 64u << 20;
  std::uint64_t pass_max_bytes = UINT64_MAX;
  std::unique_ptr<journal> log;
  std::shared_ptr<cursor_store> cursors;
  std::uint64_t next = 1;
  std::int64_t now_ms = 0;
};

using list = std::vector<std::uint64_t>;

} // namespace

TEST_CASE_METHOD(space_world, "an unread event holds itself alone", "[space]") {
  fill(10);
  consume(next - 1);
  auto maker = this->maker();
  const auto before = log->catalog()->bytes();
  std::size_t moved = 0;
  for (int passes = 0; passes < 10; ++passes)
    moved += pass(maker).moved;
  CHECK(moved >= 10);
  CHECK(log->catalog()->bytes() < before / 5);
  CHECK(unread() == list{1, 101, 201, 301, 401, 501, 601, 701, 801, 901});
  CHECK(numbers(read_all(*log, "read")).empty());
}

TEST_CASE_METHOD(space_world, "a segment of which nothing is owed goes from the middle",
                 "[space]") {
  fill(3);
  consume(3 * per_segment);
  // The unread ones of the second and the last are taken, ahead of the first.
  require_ok(cursors->save({{"unread", "queue", 0, {{101, 101}, {201, 201}}}}));
  auto maker = this->maker();
  CHECK(pass(maker).retired == 2);
  CHECK(unread() == list{1});
}

TEST_CASE_METHOD(space_world, "what is owed stays, and what nobody has read is not looked at",
                 "[space]") {
  fill(5);
  auto maker = this->maker();
  const auto made = pass(maker);
  CHECK(made.retired == 0);
  CHECK(made.moved == 0);
  require_ok(made.done);
  CHECK(numbers(read_all(*log, "read")).size() == 5 * (per_segment - 1));
}

TEST_CASE_METHOD(space_world, "what is younger than the retention stays", "[space]") {
  fill(3);
  consume(next - 1);
  auto maker = this->maker();
  CHECK(pass(maker, 0).moved == 0);
  CHECK(log->catalog()->list().size() == 4);
}

TEST_CASE_METHOD(space_world, "what is acknowledged between two passes is measured again",
                 "[space]") {
  fill(4);
  consume(per_segment * 3 + 20); // a fifth of the last is read
  auto maker = this->maker();
  pass(maker);
  CHECK(numbers(read_all(*log, "read")).size() == per_segment - 1); // the last, which owes too much
  consume(next - 1);
  pass(maker);
  CHECK(numbers(read_all(*log, "read")).empty());
  CHECK(unread().size() == 4);
}

TEST_CASE_METHOD(space_world, "a pass moves so many segments at most", "[space]") {
  constexpr auto over = space_maker::max_moves + 4;
  for (std::uint64_t i = 0; i < over; ++i) {
    fill(1);
    fill_unread(1); // so that no two are neighbours
  }
  consume(next - 1);
  auto maker = this->maker();
  CHECK(pass(maker).moved == space_maker::max_moves);
  CHECK(pass(maker).moved == 4);
  CHECK(pass(maker).moved == 0);
  CHECK(unread().size() == over * (1 + per_segment));
}

TEST_CASE_METHOD(space_world, "a pass measures so many segments at most", "[space]") {
  constexpr auto over = space_maker::max_measures + 4;
  fill(over);
  // Of each all but two events are taken, and not from the front, so what is owed must be measured.
  std::vector<std::pair<std::uint64_t, std::uint64_t>> taken;
  for (std::uint64_t i = 0; i < over; ++i)
    taken.emplace_back(i * per_segment + 3, (i + 1) * per_segment);
  require_ok(cursors->save({{"read", "queue", 0, taken}}));
  auto maker = this->maker();
  CHECK(pass(maker).moved == space_maker::max_measures);
  CHECK(pass(maker).moved >= 4);
  CHECK(unread().size() == over);
}

TEST_CASE_METHOD(space_world, "a pass reads so many bytes at most, and one segment in any case",
                 "[space]") {
  fill(4);
  consume(next - 1);
  const auto one = log->catalog()->list()[0].bytes;
  std::uint64_t at_once = 1;
  SECTION("less than one segment") {
    pass_max_bytes = 1;
  }
  SECTION("two segments") {
    pass_max_bytes = 2 * one + one / 2;
    at_once = 2;
  }
  auto maker = this->maker();
  for (std::uint64_t left = 4; left > 0;) {
    left -= at_once;
    pass(maker);
    CHECK(numbers(read_all(*log, "read")).size() == left * (per_segment - 1));
  }
  CHECK(unread() == list{1, 101, 201, 301});
}

TEST_CASE_METHOD(space_world, "a pass is not made again at once", "[space]") {
  fill(2);
  auto maker = this->maker();
  int asked = 0;
  const auto clock = [&] { return ++asked, now_ms; };
  (void)maker.make_room(far_future_ms, clock);
  CHECK(asked == 2);
  now_ms += space_maker::pass_interval_ms - 1;
  consume(next - 1);
  CHECK(maker.make_room(far_future_ms, clock).moved == 0);
  CHECK(asked == 3);
  now_ms += 1;
  CHECK(maker.make_room(far_future_ms, clock).moved > 0);
}

TEST_CASE_METHOD(space_world,
                 "when much has come since the last pass, one is made at the next call",
                 "[space]") {
  fill(2);
  max_bytes = 8 * log->catalog()->bytes();
  auto maker = this->maker();
  const auto clock = [&] { return now_ms; };
  (void)maker.make_room(far_future_ms, clock);
  fill(1);
  consume(next - 1);
  CHECK(maker.make_room(far_future_ms, clock).moved == 0); // an eighth is a little more than two
  fill(2);
  consume(next - 1);
  CHECK(maker.make_room(far_future_ms, clock).moved > 0);
}

TEST_CASE_METHOD(space_world, "when room is short, a pass is made at each call", "[space]") {
  fill(2);
  max_bytes = log->catalog()->bytes();
  auto maker = this->maker();
  const auto clock = [&] { return now_ms; };
  (void)maker.make_room(far_future_ms, clock);
  consume(next - 1);
  CHECK(maker.make_room(far_future_ms, clock).moved > 0);
}

TEST_CASE_METHOD(space_world, "a row that can't be read is no reason to move anything", "[space]") {
  fill(2);
  consume(next - 1);
  const auto first = log->catalog()->list()[0];
  {
    // The body's columns of a row that is not the unread one's.
    auto db = open_segment(first.path, sqlite_mode::read_write, {}).value();
    require_ok(db.exec("UPDATE block SET ends = 'x' WHERE stream = 'unread'"));
  }
  auto maker = this->maker();
  const auto made = pass(maker);
  CHECK_FALSE(made.done);
  CHECK(log->catalog()->get(first.number)->events.at("read") == per_segment - 1);
}
