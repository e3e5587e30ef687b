// What an origin tells of deliveries, and what a holder takes for owed: never less than is.
#include "actors/replication/replica_backlog.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <random>

using namespace penstock;

namespace {

using enum backlog_events::portion;

const std::vector<sink_route> to_the_queue{{"queue", [](const std::string&) { return true; }}};

/// One segment with events of these streams, up to `last_seq`.
segments_at journal_of(const std::vector<std::string>& streams, std::uint64_t last_seq) {
  segment_info segment{.number = 1, .first_seq = 1, .last_seq = last_seq};
  for (const auto& stream : streams)
    segment.events[stream] = 1;
  return {{segment}, last_seq};
}

replica_news told(std::vector<cursor> saved, const segments_at& there) {
  replica_news update{.tag = "aaaaaaaa"};
  tell_delivered(update, there, {std::move(saved), to_the_queue, "queue"});
  return update;
}

replica_news update_of(std::vector<delivered_stream> delivered) {
  replica_news update;
  update.version = delivered_wire_version;
  update.as_of_seq = 100;
  update.delivered = std::move(delivered);
  return update;
}

} // namespace

TEST_CASE("a stream that is behind is told, and all others by one number", "[replica][owed]") {
  const auto update = told({{"behind", "queue", 10, {{13, 20}}}, {"done", "queue", 100, {}}},
                           journal_of({"behind", "done", "unread"}, 100));
  CHECK(update.version == delivered_wire_version);
  CHECK(update.as_of_seq == 100);
  REQUIRE(update.delivered.size() == 2);
  CHECK(update.delivered[0].stream == "behind");
  CHECK(update.delivered[1].stream == "unread");
  const auto backlog = told_backlog::make(update);
  REQUIRE(backlog);
  CHECK(backlog->between("behind", 1, 10) == none);
  CHECK(backlog->between("behind", 5, 11) == some);
  CHECK(backlog->between("behind", 14, 20) == none);
  CHECK(backlog->between("behind", 20, 21) == some);
  CHECK(backlog->between("behind", 21, 30) == all);
  CHECK(backlog->between("unread", 1, 5) == all);
  CHECK(backlog->between("done", 1, 100) == none);
  CHECK(backlog->between("done", 100, 101) == some); // what came later is not known
  CHECK(backlog->between("unheard-of", 101, 102) == all);
  CHECK_FALSE(backlog->is_in_backlog("behind", 10, 0));
  CHECK(backlog->is_in_backlog("behind", 12, 0));
  CHECK_FALSE(backlog->is_in_backlog("behind", 13, 0));
  CHECK_FALSE(backlog->is_in_backlog("behind", 20, 0));
  CHECK(backlog->is_in_backlog("behind", 21, 0));
  CHECK_FALSE(backlog->is_in_backlog("done", 100, 0));
  CHECK(backlog->is_in_backlog("done", 101, 0));
}

TEST_CASE("what a holder takes for owed is never less than is", "[replica][owed]") {
  std::mt19937_64 random{7};
  const auto number = [&](std::uint64_t most) { return random() % (most + 1); };
  for (int turn = 0; turn < 200; ++turn) {
    std::vector<cursor> saved;
    for (const auto* stream : {"a", "b", "c"})
      for (std::uint32_t lane = 0; lane < 3; ++lane) {
        cursor one{stream, lane == 2 ? "queue" : lane_cursor_name("bus", lane, 2), number(30), {}};
        for (auto seq = one.seq + 2 + number(5); seq < 40; seq += 2 + number(9))
          one.acked_ahead.emplace_back(seq, seq + number(1));
        if (number(4) > 0) saved.push_back(std::move(one));
      }
    const std::vector<sink_route> routes{
        {"queue", [](const std::string& stream) { return stream != "b"; }},
        {"bus", [](const std::string& stream) { return stream != "a"; }}};
    const backlog_book book{std::move(saved), routes, "queue"};
    replica_news update;
    tell_delivered(update, journal_of({"a", "b", "c"}, 40), book);
    const auto backlog = told_backlog::make(update);
    REQUIRE(backlog);
    for (const auto* stream : {"a", "b", "c"})
      for (std::uint64_t seq = 1; seq <= 45; ++seq)
        for (std::uint64_t client : {0, 1})
          if (book.is_in_backlog(stream, seq, client))
            REQUIRE(backlog->is_in_backlog(stream, seq, client));
    // Where the queue alone is fed it is exact.
    for (std::uint64_t seq = 1; seq <= 40; ++seq)
      REQUIRE(backlog->is_in_backlog("a", seq, 0) == book.is_in_backlog("a", seq, 0));
    // The two ways of asking agree.
    for (const auto* stream : {"a", "b", "c"})
      for (std::uint64_t first = 1; first <= 45; ++first)
        for (auto last = first; last <= 45; ++last) {
          std::uint64_t owing = 0;
          for (auto seq = first; seq <= last; ++seq)
            owing += backlog->is_in_backlog(stream, seq, 0);
          const auto answer = backlog->between(stream, first, last);
          if (answer == none) REQUIRE(owing == 0);
          if (answer == all) REQUIRE(owing == last - first + 1);
        }
  }
}

TEST_CASE("streams that are too many are left out so that more is owed", "[replica][owed]") {
  std::vector<std::string> streams;
  std::vector<cursor> saved;
  constexpr auto over = max_told_streams + 3;
  for (std::size_t i = 0; i < over; ++i) {
    streams.push_back(fmt::format("s{:05}", i));
    saved.push_back({streams.back(), "queue", over - i, {}}); // the first is furthest
  }
  const auto update = told(std::move(saved), journal_of(streams, 1'000'000));
  CHECK(update.delivered.size() == max_told_streams);
  CHECK(update.as_of_seq ==
        over - 2); // of the three that were left out the one that is furthest behind
  const auto backlog = told_backlog::make(update);
  REQUIRE(backlog);
  for (std::size_t i = 0; i < over; ++i) {
    CHECK(backlog->is_in_backlog(streams[i], over - i + 1, 0));
    CHECK_FALSE(backlog->is_in_backlog(streams[i], std::min(over - i, over - 2), 0));
  }
}

TEST_CASE("ranges that are too many are left out so that more is owed", "[replica][owed]") {
  constexpr auto streams = max_told_ranges / max_told_ranges_per_stream + 2;
  std::vector<std::string> names;
  std::vector<cursor> saved;
  for (std::size_t i = 0; i < streams; ++i) {
    names.push_back(fmt::format("s{:03}", i));
    auto& one = saved.emplace_back(cursor{names.back(), "queue", 0, {}});
    for (std::uint64_t seq = 2; one.acked_ahead.size() < max_told_ranges_per_stream + 5; seq += 2)
      one.acked_ahead.emplace_back(seq, seq);
  }
  const auto update = told(std::move(saved), journal_of(names, 1'000'000));
  CHECK(update.delivered.front().beyond.size() == max_told_ranges_per_stream);
  CHECK(update.delivered.back().beyond.empty());
  const auto backlog = told_backlog::make(update);
  REQUIRE(backlog);
  CHECK_FALSE(backlog->is_in_backlog(names.front(), 2 * max_told_ranges_per_stream, 0));
  CHECK(backlog->is_in_backlog(names.front(), 2 * max_told_ranges_per_stream + 2, 0));
  CHECK(backlog->is_in_backlog(names.back(), 2, 0));
}

TEST_CASE("a name that is too long is not told of, nor anything beside it", "[replica][owed]") {
  const auto update = told({}, journal_of({"a", std::string(max_told_name_bytes + 1, 'x')}, 100));
  CHECK(update.version == replicas_wire_version);
  CHECK(update.delivered.empty());
}

TEST_CASE("news that can't be true say nothing", "[replica][owed]") {
  CHECK(told_backlog::make(update_of({})));
  CHECK(told_backlog::make(update_of({{"a", 5, {{6, 6}, {7, 9}}}, {"b", 0, {}}})));
  CHECK(told_backlog::make(update_of({{"a", UINT64_MAX, {}}})));
  CHECK_FALSE(told_backlog::make(replica_news{.as_of_seq = 5})); // of an earlier version
  CHECK_FALSE(told_backlog::make(update_of({{"b", 0, {}}, {"a", 0, {}}})));
  CHECK_FALSE(told_backlog::make(update_of({{"a", 0, {}}, {"a", 0, {}}})));
  CHECK_FALSE(told_backlog::make(update_of({{"", 0, {}}})));
  CHECK_FALSE(told_backlog::make(update_of({{std::string(max_told_name_bytes + 1, 'x'), 0, {}}})));
  CHECK_FALSE(told_backlog::make(update_of({{"a", 5, {{5, 7}}}})));
  CHECK_FALSE(told_backlog::make(update_of({{"a", 5, {{8, 7}}}})));
  CHECK_FALSE(told_backlog::make(update_of({{"a", 5, {{7, 9}, {9, 10}}}})));
  CHECK_FALSE(told_backlog::make(update_of({{"a", 5, {{20, 22}, {7, 9}}}})));
  CHECK_FALSE(told_backlog::make(update_of({{"a", 5, {{7, UINT64_MAX}, {0, 9}}}})));
  SECTION("too many streams") {
    std::vector<delivered_stream> all;
    for (std::size_t i = 0; i <= max_told_streams; ++i)
      all.push_back({fmt::format("s{:05}", i), 0, {}});
    CHECK_FALSE(told_backlog::make(update_of(all)));
    all.pop_back();
    CHECK(told_backlog::make(update_of(all)));
  }
  SECTION("too many ranges of one") {
    delivered_stream one{"a", 0, {}};
    for (std::uint64_t i = 1; i <= max_told_ranges_per_stream + 1; ++i)
      one.beyond.emplace_back(2 * i, 2 * i);
    CHECK_FALSE(told_backlog::make(update_of({one})));
    one.beyond.pop_back();
    CHECK(told_backlog::make(update_of({one})));
    SECTION("and of all") {
      std::vector<delivered_stream> all;
      for (std::size_t i = 0; i < max_told_ranges / max_told_ranges_per_stream; ++i)
        all.push_back({fmt::format("s{:05}", i), 0, one.beyond});
      CHECK(told_backlog::make(update_of(all)));
      all.push_back({"t", 0, {{1, 1}}});
      CHECK_FALSE(told_backlog::make(update_of(all)));
    }
  }
}
