// Streams that let the oldest events go when they hold too much.
#include "tests/unit/actors/delivery/publisher_world.hpp"
#include "tests/unit/actors/queue/queue_world.hpp"

using namespace penstock;
using namespace penstock::test;
using namespace std::chrono_literals;

namespace {

/// Bodies of the worlds' events are of one or two bytes.
constexpr std::uint64_t about_ten_events = 10 * (event_overhead_bytes + 2);

stream_rule keeps_ten(const std::string&) {
  return {.max_bytes = about_ten_events, .refuses = false};
}

stream_rule keeps_a_minute(const std::string&) {
  return {.max_age_ms = 60'000, .refuses = false};
}

void append_to(world& w, std::size_t count) {
  w.journal.append("s", count);
  w.journal.catalog->extend(
      1, {.last_seq = w.journal.next_seq - 1, .added = {{"s", {count, 2 * count}}}});
}

} // namespace

TEST_CASE("the queue lets the oldest go, and counts them", "[expiry]") {
  world w;
  w.space_rule = keeps_ten;
  w.start();
  append_to(w, 30);
  w.answer_fetches();
  w.pass(queue_upkeep_interval);
  const auto left = w.stats();
  CHECK(left.depth <= 10);
  CHECK(left.depth >= 9);
  CHECK(w.metrics->expired.value() == 30 - left.depth);
  CHECK(left.expired == 30 - left.depth);
  // What is left is the newest, and what is gone does not come again after a restart.
  w.pass(queue_upkeep_interval);
  w.kill();
  w.start();
  w.answer_fetches();
  CHECK(seqs(w.receive(100)) == [&] {
    list rest;
    for (auto seq = 31 - left.depth; seq <= 30; ++seq)
      rest.push_back(seq);
    return rest;
  }());
}

TEST_CASE("the queue lets so many go at once at most", "[expiry]") {
  world w;
  w.space_rule = keeps_ten;
  w.start();
  constexpr std::size_t more = 10'000;
  for (std::size_t sent = 0; sent < max_expired_at_once + more; sent += more)
    append_to(w, more);
  w.answer_fetches();
  w.pass(queue_upkeep_interval);
  CHECK(w.metrics->expired.value() == max_expired_at_once);
  w.pass(queue_upkeep_interval);
  CHECK(w.stats().depth <= 10);
}

TEST_CASE("the queue leaves what a consumer holds", "[expiry]") {
  world w;
  w.space_rule = keeps_ten;
  w.start();
  append_to(w, 30);
  w.answer_fetches();
  const auto held = w.receive(25);
  CHECK(seqs(held).size() == 25);
  w.pass(queue_upkeep_interval);
  CHECK(w.metrics->expired.value() == 5); // of those that nobody holds
  const auto answer = w.receipts(tickets(held));
  w.pass(cursor_save_interval);
  CHECK((*answer)->done == 25);
}

TEST_CASE("the queue lets go what is too old", "[expiry]") {
  world w;
  w.space_rule = keeps_a_minute;
  w.start();
  append_to(w, 5);
  w.answer_fetches();
  w.wall += 60'000;
  w.pass(queue_upkeep_interval);
  CHECK(w.metrics->expired.value() == 0);
  w.wall += 1;
  w.pass(queue_upkeep_interval);
  CHECK(w.metrics->expired.value() == 5);
}

TEST_CASE("an old event that a consumer holds costs no young one", "[expiry]") {
  world w;
  w.space_rule = keeps_a_minute;
  w.start();
  append_to(w, 5);
  w.answer_fetches();
  const auto held = w.receive(1);
  w.wall += 60'001;
  w.journal.time_ms = w.wall;
  append_to(w, 7);
  w.answer_fetches();
  w.pass(queue_upkeep_interval);
  CHECK(w.metrics->expired.value() == 4);
  CHECK(w.stats().depth == 8);
}

TEST_CASE("an old event on its way to a sink costs no young one", "[expiry]") {
  publisher_world w;
  w.space_rule = keeps_a_minute;
  w.sink = [](const sink_batch& batch) {
    return delivery::all(batch.events.size(), settled_as::failed, "connection refused");
  };
  w.start(1, {.retry_min_ms = 100ms, .retry_max_ms = 200ms});
  w.append("s", 5);
  w.pass(1s);
  w.wall += 60'001;
  w.journal.time_ms = w.wall;
  w.append("s", 7);
  w.pass(3s);
  CHECK(w.metrics->expired.value() == 5);
  CHECK(w.metrics->lags().at(0).events == 7);
}

TEST_CASE("a stream that refuses loses nothing", "[expiry]") {
  world w;
  w.space_rule = [](const std::string&) { return stream_rule{.max_bytes = 1}; };
  w.start();
  append_to(w, 30);
  w.answer_fetches();
  w.pass(queue_upkeep_interval);
  CHECK(w.stats().depth == 30);
  REQUIRE(w.backlog);
  REQUIRE(w.backlog->streams.size() == 1);
  CHECK(w.backlog->streams[0].volume.events == 30);
}

TEST_CASE("a publisher lets the oldest of all lanes go", "[expiry]") {
  publisher_world w;
  w.space_rule = keeps_ten;
  w.sink = [](const sink_batch& batch) {
    return delivery::all(batch.events.size(), settled_as::failed, "connection refused");
  };
  w.start(2, {.retry_min_ms = 100ms, .retry_max_ms = 200ms});
  w.append("s", 30);
  w.pass(3s);
  const auto lags = w.metrics->lags();
  REQUIRE(lags.size() == 1);
  CHECK(lags[0].events <= 10);
  CHECK(lags[0].events >= 8);
  CHECK(w.metrics->expired.value() == 30 - lags[0].events);
  CHECK(w.stored_dead_letters.empty());
  // The newest are what is delivered when the sink is back.
  w.sink = [](const sink_batch& batch) {
    return delivery::all(batch.events.size(), settled_as::delivered, {});
  };
  w.pass(3s);
  std::ranges::sort(w.arrived);
  REQUIRE(w.arrived.size() == lags[0].events);
  CHECK(w.arrived.front() == 31 - lags[0].events);
  CHECK(w.arrived.back() == 30);
}

TEST_CASE("events acknowledged ahead cost no unread one after a restart", "[expiry]") {
  world w;
  for (int i = 0; i < 30; ++i)
    append_to(w, 1);
  w.start();
  w.answer_fetches();
  auto all = w.receive(30);
  auto acked = tickets(all);
  std::erase_if(acked, [](const receipt& one) { return one.seq % 3 == 1; });
  w.receipts(acked);
  w.pass(cursor_save_interval);
  w.kill();
  w.space_rule = [](const std::string&) {
    return stream_rule{.max_bytes = about_ten_events, .refuses = false};
  };
  w.start();
  CHECK(w.stats().depth == 10);
  w.pass(queue_upkeep_interval);
  CHECK(w.metrics->expired.value() == 0);
  CHECK(seqs(w.receive(100)).size() == 10);
}

TEST_CASE("nothing expires before it is known what a stream holds", "[expiry]") {
  world w;
  w.space_rule = keeps_ten;
  w.journal.can_count = false;
  for (int i = 0; i < 30; ++i)
    append_to(w, 1);
  w.start();
  w.pass(queue_upkeep_interval);
  CHECK(w.metrics->expired.value() == 0);
  w.journal.can_count = true;
  w.pass(queue_upkeep_interval);
  CHECK(w.metrics->expired.value() > 0);
}

TEST_CASE("a stream says when consumers hold more of it than it may keep", "[expiry]") {
  world w;
  w.space_rule = keeps_ten;
  w.start();
  append_to(w, 30);
  w.answer_fetches();
  const auto held = w.receive(25);
  w.pass(queue_upkeep_interval);
  CHECK(w.backlog->streams.at(0).is_stuck);
  w.receipts(tickets(held));
  w.pass(queue_upkeep_interval);
  CHECK_FALSE(w.backlog->streams.at(0).is_stuck);
}

TEST_CASE("one event that a consumer holds keeps no others from being let go", "[expiry]") {
  world w;
  w.space_rule = keeps_ten;
  w.max_in_flight = 1;
  w.start();
  append_to(w, 15);
  w.answer_fetches();
  CHECK(seqs(w.receive(1)).size() == 1);
  w.pass(queue_upkeep_interval);
  CHECK_FALSE(w.backlog->streams.at(0).is_stuck);
}

TEST_CASE("a stream says when dead letters that are not kept are more than it may keep",
          "[expiry]") {
  publisher_world w;
  w.space_rule = keeps_ten;
  w.graveyard_full = true;
  w.sink = [](const sink_batch& batch) {
    return delivery::all(batch.events.size(), settled_as::refused, "too odd");
  };
  w.start(1, {.retry_min_ms = 10ms, .retry_max_ms = 20ms});
  w.append("s", 30);
  w.pass(5s);
  CHECK(w.backlog->streams.at(0).is_stuck);
  CHECK(w.backlog->streams.at(0).volume.events == 30);
  w.graveyard_full = false;
  w.pass(5s);
  CHECK(w.stored_dead_letters.size() == 30);
  CHECK_FALSE(w.backlog->streams.at(0).is_stuck);
}
