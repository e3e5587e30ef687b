// What an origin tells of deliveries, and what a holder takes for owed: never less than is.
#include "actors/replication/replica_backlog.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <random>

using namespace penstock;

namespace {

using enum owed_events::portion;

const std::vector<sink_route> to_the_queue{{"queue", [](const std::string&) { return true; }}};

/// One segment with events of these streams, up to `last_seq`.
segments_at journal_of(const std::vector<std::string>& streams, std::uint64_t last_seq) {
  segment_info segment{.number = 1, .first_seq = 1, .last_seq = last_seq};
  for (const auto& stream : streams)
    segment.events[stream] = 1;
  return {{segment}, last_seq};
}

replica_news told(std::vector<cursor> saved, const segments_at& there) {
  replica_news news{.tag = "aaaaaaaa"};
  tell_delivered(news, there, {std::move(saved), to_the_queue, "queue"});
  return news;
}

replica_news news_of(std::vector<delivered_stream> delivered) {
  replica_news news;
  news.version = delivered_wire_version;
  news.as_of_seq = 100;
  news.delivered = std::move(delivered);
  return news;
}

} // namespace

TEST_CASE("a stream that is behind is told, and all others by one number", "[replica][owed]") {
  const auto news = told({{"behind", "queue", 10, {{13, 20}}}, {"done", "queue", 100, {}}},
                         journal_of({"behind", "done", "unread"}, 100));
  CHECK(news.version == delivered_wire_version);
  CHECK(news.as_of_seq == 100);
  REQUIRE(news.delivered.size() == 2);
  CHECK(news.delivered[0].stream == "behind");
  CHECK(news.delivered[1].stream == "unread");
  const auto owed = told_owed::make(news);
  REQUIRE(owed);
  CHECK(owed->between("behind", 1, 10) == none);
  CHECK(owed->between("behind", 5, 11) == some);
  CHECK(owed->between("behind", 14, 20) == none);
  CHECK(owed->between("behind", 20, 21) == some);
  CHECK(owed->between("behind", 21, 30) == all);
  CHECK(owed->between("unread", 1, 5) == all);
  CHECK(owed->between("done", 1, 100) == none);
  CHECK(owed->between("done", 100, 101) == some); // what came later is not known
  CHECK(owed->between("unheard-of", 101, 102) == all);
  CHECK_FALSE(owed->is_owed("behind", 10, 0));
  CHECK(owed->is_owed("behind", 12, 0));
  CHECK_FALSE(owed->is_owed("behind", 13, 0));
  CHECK_FALSE(owed->is_owed("behind", 20, 0));
  CHECK(owed->is_owed("behind", 21, 0));
  CHECK_FALSE(owed->is_owed("done", 100, 0));
  CHECK(owed->is_owed("done", 101, 0));
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
    const owed_book book{std::move(saved), routes, "queue"};
    replica_news news;
    tell_delivered(news, journal_of({"a", "b", "c"}, 40), book);
    const auto owed = told_owed::make(news);
    REQUIRE(owed);
    for (const auto* stream : {"a", "b", "c"})
      for (std::uint64_t seq = 1; seq <= 45; ++seq)
        for (std::uint64_t client : {0, 1})
          if (book.is_owed(stream, seq, client)) REQUIRE(owed->is_owed(stream, seq, client));
    // Where the queue alone is fed it is exact.
    for (std::uint64_t seq = 1; seq <= 40; ++seq)
      REQUIRE(owed->is_owed("a", seq, 0) == book.is_owed("a", seq, 0));
    // The two ways of asking agree.
    for (const auto* stream : {"a", "b", "c"})
      for (std::uint64_t first = 1; first <= 45; ++first)
        for (auto last = first; last <= 45; ++last) {
          std::uint64_t owing = 0;
          for (auto seq = first; seq <= last; ++seq)
            owing += owed->is_owed(stream, seq, 0);
          const auto answer = owed->between(stream, first, last);
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
  const auto news = told(std::move(saved), journal_of(streams, 1'000'000));
  CHECK(news.delivered.size() == max_told_streams);
  CHECK(news.as_of_seq ==
        over - 2); // of the three that were left out the one that is furthest behind
  const auto owed = told_owed::make(news);
  REQUIRE(owed);
  for (std::size_t i = 0; i < over; ++i) {
    CHECK(owed->is_owed(streams[i], over - i + 1, 0));
    CHECK_FALSE(owed->is_owed(streams[i], std::min(over - i, over - 2), 0));
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
  const auto news = told(std::move(saved), journal_of(names, 1'000'000));
  CHECK(news.delivered.front().beyond.size() == max_told_ranges_per_stream);
  CHECK(news.delivered.back().beyond.empty());
  const auto owed = told_owed::make(news);
  REQUIRE(owed);
  CHECK_FALSE(owed->is_owed(names.front(), 2 * max_told_ranges_per_stream, 0));
  CHECK(owed->is_owed(names.front(), 2 * max_told_ranges_per_stream + 2, 0));
  CHECK(owed->is_owed(names.back(), 2, 0));
}

TEST_CASE("a name that is too long is not told of, nor anything beside it", "[replica][owed]") {
  const auto news = told({}, journal_of({"a", std::string(max_told_name_bytes + 1, 'x')}, 100));
  CHECK(news.version == replicas_wire_version);
  CHECK(news.delivered.empty());
}

TEST_CASE("news that can't be true say nothing", "[replica][owed]") {
  CHECK(told_owed::make(news_of({})));
  CHECK(told_owed::make(news_of({{"a", 5, {{6, 6}, {7, 9}}}, {"b", 0, {}}})));
  CHECK(told_owed::make(news_of({{"a", UINT64_MAX, {}}})));
  CHECK_FALSE(told_owed::make(replica_news{.as_of_seq = 5})); // of an earlier version
  CHECK_FALSE(told_owed::make(news_of({{"b", 0, {}}, {"a", 0, {}}})));
  CHECK_FALSE(told_owed::make(news_of({{"a", 0, {}}, {"a", 0, {}}})));
  CHECK_FALSE(told_owed::make(news_of({{"", 0, {}}})));
  CHECK_FALSE(told_owed::make(news_of({{std::string(max_told_name_bytes + 1, 'x'), 0, {}}})));
  CHECK_FALSE(told_owed::make(news_of({{"a", 5, {{5, 7}}}})));
  CHECK_FALSE(told_owed::make(news_of({{"a", 5, {{8, 7}}}})));
  CHECK_FALSE(told_owed::make(news_of({{"a", 5, {{7, 9}, {9, 10}}}})));
  CHECK_FALSE(told_owed::make(news_of({{"a", 5, {{20, 22}, {7, 9}}}})));
  CHECK_FALSE(told_owed::make(news_of({{"a", 5, {{7, UINT64_MAX}, {0, 9}}}})));
  SECTION("too many streams") {
    std::vector<delivered_stream> all;
    for (std::size_t i = 0; i <= max_told_streams; ++i)
      all.push_back({fmt::format("s{:05}", i), 0, {}});
    CHECK_FALSE(told_owed::make(news_of(all)));
    all.pop_back();
    CHECK(told_owed::make(news_of(all)));
  }
  SECTION("too many ranges of one") {
    delivered_stream one{"a", 0, {}};
    for (std::uint64_t i = 1; i <= max_told_ranges_per_stream + 1; ++i)
      one.beyond.emplace_back(2 * i, 2 * i);
    CHECK_FALSE(told_owed::make(news_of({one})));
    one.beyond.pop_back();
    CHECK(told_owed::make(news_of({one})));
    SECTION("and of all") {
      std::vector<delivered_stream> all;
      for (std::size_t i = 0; i < max_told_ranges / max_told_ranges_per_stream; ++i)
        all.push_back({fmt::format("s{:05}", i), 0, one.beyond});
      CHECK(told_owed::make(news_of(all)));
      all.push_back({"t", 0, {{1, 1}}});
      CHECK_FALSE(told_owed::make(news_of(all)));
    }
  }
}
