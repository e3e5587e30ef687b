#include "actors/delivery/lane_feed.hpp"

#include "actors/delivery/sink_breaker.hpp"

#include <catch2/catch.hpp>

using namespace penstock;

namespace {

using seq_ids = std::vector<std::uint64_t>;

// One block of one-byte events; client i sends event i.
std::shared_ptr<const event_block> lane_block(std::uint64_t first_seq,
                                              const std::vector<std::uint64_t>& clients) {
  auto block = std::make_shared<event_block>();
  block->first_seq = first_seq;
  block->time_ms = 1000;
  for (const auto client : clients)
    block->push("x", "text/plain", client);
  return block;
}

void fill_lane(lane_feed& feed, std::uint64_t first_seq, const std::vector<std::uint64_t>& clients,
               std::int64_t added_ms = 0) {
  const auto block = lane_block(first_seq, clients);
  for (std::uint32_t i = 0; i < block->size(); ++i)
    feed.add({block, i}, 0, added_ms);
}

seq_ids lane_seqs(const std::vector<outgoing_event>& events) {
  seq_ids out;
  for (const auto& one : events)
    out.push_back(one.seq());
  return out;
}

constexpr auto no_lane_cap = ~0u;
constexpr auto lane_taken = settled_as::delivered;
constexpr auto lane_failed = settled_as::failed;
constexpr auto lane_refused = settled_as::refused;

delivery lane_outcome(std::vector<settled_as> events) {
  delivery out;
  out.events = std::move(events);
  out.failure = "down";
  out.refusal = "too odd";
  return out;
}

batch_rules small_batches() {
  batch_rules rules;
  rules.max_events = 3;
  rules.retry_min_ms = 100;
  rules.retry_max_ms = 1000;
  rules.max_tries = 2;
  return rules;
}

} // namespace

TEST_CASE("a lane sends when its batch is full or has waited long enough") {
  lane_feed feed{small_batches()};
  CHECK_FALSE(feed.due_ms());
  fill_lane(feed, 1, {7, 7}, 50);
  CHECK(feed.due_ms() == 55);
  fill_lane(feed, 3, {7}, 52);
  CHECK(feed.due_ms() == 0);
  CHECK(lane_seqs(feed.take(no_lane_cap)) == seq_ids{1, 2, 3});
  fill_lane(feed, 4, {7, 7, 7});
  CHECK_FALSE(feed.due_ms()); // one batch at a time
}

TEST_CASE("bytes end a batch, but one event may exceed them") {
  auto rules = small_batches();
  rules.max_bytes = 2;
  lane_feed feed{rules};
  auto block = std::make_shared<event_block>();
  block->first_seq = 1;
  for (const auto* body : {"long", "a", "b", "c"})
    block->push(body, "text/plain", 1);
  for (std::uint32_t i = 0; i < 4; ++i)
    feed.add({block, i}, 0, 0);
  CHECK(lane_seqs(feed.take(no_lane_cap)) == seq_ids{1});
  feed.settle(lane_outcome({lane_taken}), 0, 1, 0);
  CHECK(lane_seqs(feed.take(no_lane_cap)) == seq_ids{2, 3});
}

TEST_CASE("what failed goes first again, after a pause, in order") {
  lane_feed feed{small_batches()};
  fill_lane(feed, 1, {1, 2, 3, 4});
  feed.take(no_lane_cap);
  const auto settled = feed.settle(lane_outcome({lane_taken, lane_failed, lane_taken}), 1000, 2, 0);
  CHECK(settled.delivered.size() == 2);
  CHECK(feed.first_open_seq() == 2);
  CHECK(feed.done_ahead(10) == std::vector<std::pair<std::uint64_t, std::uint64_t>>{{3, 3}});
  CHECK(feed.due_ms() == 1050);
  CHECK(lane_seqs(feed.take(no_lane_cap)) == seq_ids{2, 4});
  CHECK(feed.repeats() == 1);
  feed.settle(lane_outcome({lane_taken, lane_taken}), 1100, 4, 0);
  CHECK_FALSE(feed.first_open_seq());
}

TEST_CASE("pauses grow to a limit and never vanish") {
  CHECK(retry_pause_ms(0, 100, 30'000, 0) == 50);
  CHECK(retry_pause_ms(0, 100, 30'000, 0.999) == 99);
  CHECK(retry_pause_ms(3, 100, 30'000, 0) == 400);
  CHECK(retry_pause_ms(60, 100, 30'000, 0.5) == 22'500);
}

TEST_CASE("the sink's own wish for a pause counts when it is longer") {
  lane_feed feed{small_batches()};
  fill_lane(feed, 1, {1});
  feed.take(no_lane_cap);
  auto outcome = lane_outcome({lane_failed});
  outcome.pause_ms = std::chrono::seconds{5};
  feed.settle(outcome, 1000, 0, 0);
  CHECK(feed.due_ms() == 6000);
}

TEST_CASE("a refused event is dead after its tries and holds nobody up") {
  lane_feed feed{small_batches()};
  fill_lane(feed, 1, {1, 2, 3, 4});
  feed.take(no_lane_cap);
  CHECK(feed.settle(lane_outcome({lane_refused, lane_taken, lane_taken}), 0, 2, 0).dead.empty());
  CHECK(feed.due_ms() == 5); // without a pause: the sink is well
  CHECK(lane_seqs(feed.take(no_lane_cap)) == seq_ids{1, 4});
  const auto settled = feed.settle(lane_outcome({lane_refused, lane_taken}), 0, 3, 0);
  REQUIRE(settled.dead.size() == 1);
  CHECK(settled.dead[0].event.seq() == 1);
  CHECK(settled.dead[0].tries == 2);
  CHECK(settled.dead[0].reason == "too odd");
  CHECK(feed.first_open_seq() == 1); // until it is kept elsewhere
  CHECK_FALSE(feed.due_ms());
  CHECK(feed.dead_letter_done(1));
  CHECK_FALSE(feed.first_open_seq());
  CHECK_FALSE(feed.dead_letter_done(1));
}

TEST_CASE("where batches may break a client is in each only once") {
  auto rules = small_batches();
  rules.one_per_client = true;
  lane_feed feed{rules};
  fill_lane(feed, 1, {1, 1, 2, 1, 3, 4});
  CHECK(lane_seqs(feed.take(no_lane_cap)) == seq_ids{1, 3, 5});
  feed.settle(lane_outcome({lane_failed, lane_taken, lane_taken}), 0, 2, 0);
  CHECK(lane_seqs(feed.take(no_lane_cap)) == seq_ids{1, 6}); // and 2 not before 1
}

TEST_CASE("an outage makes no dead letters, however long") {
  lane_feed feed{small_batches()};
  fill_lane(feed, 1, {1, 2, 3});
  for (int i = 0; i < 1000; ++i) {
    const auto events = feed.take(no_lane_cap);
    REQUIRE_FALSE(events.empty());
    const std::vector<settled_as> outcome(events.size(), lane_failed);
    CHECK(feed.settle(lane_outcome(outcome), i * 1000, 5, 0.5).dead.empty());
  }
  CHECK(feed.open() == 3);
}

TEST_CASE("an event that makes its batch fail is found and does not block its lane") {
  lane_feed feed{small_batches()};
  fill_lane(feed, 1, {1, 2, 3, 4, 5, 6});
  std::uint64_t deliveries = 0;
  seq_ids arrived;
  std::vector<lane_feed::dead_event> dead;
  for (int i = 0; i < 100 && (feed.open() > 0); ++i) {
    const auto events = feed.take(no_lane_cap);
    const bool poisoned = std::any_of(events.begin(), events.end(),
                                      [](const outgoing_event& one) { return one.seq() == 2; });
    if (!poisoned) {
      deliveries += events.size();
      for (const auto seq : lane_seqs(events))
        arrived.push_back(seq);
    }
    const std::vector<settled_as> outcome(events.size(), poisoned ? lane_failed : lane_taken);
    for (auto& one : feed.settle(lane_outcome(outcome), i * 10'000, deliveries, 0.5).dead) {
      dead.push_back(one);
      feed.dead_letter_done(one.event.seq());
    }
  }
  REQUIRE(dead.size() == 1);
  CHECK(dead[0].event.seq() == 2);
  CHECK(arrived == seq_ids{1, 3, 4, 5, 6});
}

TEST_CASE("where the sink counts on order, nobody steps in front, however often a batch fails") {
  const auto orders = [](bool in_order) {
    auto rules = small_batches();
    rules.in_order = in_order;
    lane_feed feed{rules};
    fill_lane(feed, 1, {7, 8, 9});
    bool always_first = true;
    for (int i = 0; i < 20; ++i) {
      const auto batch = feed.take(no_lane_cap);
      always_first = always_first && lane_seqs(batch).front() == 1;
      feed.settle(lane_outcome(std::vector(batch.size(), lane_failed)), 0, 0, 0);
    }
    return always_first;
  };
  CHECK_FALSE(orders(false));
  CHECK(orders(true));
}

TEST_CASE("a breaker opens after failures in a row, lets one probe through and closes") {
  sink_breaker breaker{100, 1000};
  for (std::uint32_t i = 1; i < sink_breaker::max_failures; ++i)
    CHECK_FALSE(breaker.on_failure(0, 0));
  CHECK(breaker.allowance(0) == no_lane_cap);
  CHECK(breaker.on_failure(0, 0));
  CHECK(breaker.is_open());
  CHECK(breaker.allowance(49) == 0);
  CHECK(breaker.allowance(50) == sink_breaker::probe_events);
  breaker.on_sent();
  CHECK(breaker.allowance(50) == 0);
  CHECK_FALSE(breaker.on_failure(60, 0)); // it was open
  CHECK(breaker.allowance(159) == 0);
  CHECK(breaker.allowance(160) > 0); // twice as long
  breaker.on_sent();
  CHECK(breaker.on_success());
  CHECK(breaker.allowance(160) == no_lane_cap);
  CHECK_FALSE(breaker.on_success());
}

TEST_CASE("a breaker in a hurry pauses no longer than it may") {
  sink_breaker breaker{100, 60'000};
  for (int i = 0; i < 20; ++i)
    breaker.on_failure(0, 1);
  REQUIRE(breaker.allowance(30'000) == 0);
  breaker.hurry(1'000, 500);
  CHECK(breaker.allowance(1'499) == 0);
  CHECK(breaker.allowance(1'500) == sink_breaker::probe_events);
  breaker.on_sent();
  breaker.on_failure(2'000, 1);
  CHECK(breaker.allowance(2'500) == sink_breaker::probe_events);
}
