// What a publisher does and says while its node drains.
#include "actors/delivery/sink_metrics.hpp"
#include "tests/unit/actors/delivery/publisher_world.hpp"

using namespace penstock;
using namespace penstock::test;
using namespace std::chrono_literals;

namespace {

publish_left ask_what_is_left(publisher_world& w) {
  publish_left out{~0u, false};
  w.self->send(w.publisher_actor, publish_rest{});
  w.sched.run();
  w.feed();
  w.self->receive([&](const publish_left& left) { out = left; }, caf::after(0s) >> [] {});
  return out;
}

delivery nothing_taken(const sink_batch& batch) {
  return delivery::all(batch.events.size(), settled_as::failed, "connection refused");
}

} // namespace

TEST_CASE("a publisher tells what is left, and goes on until nothing is") {
  publisher_world w;
  w.start(2);
  w.holding = true;
  w.append("a", 3);
  w.append("b", 4);
  w.append("elsewhere", 9);
  CHECK(ask_what_is_left(w).events == 7); // batches that are under way count
  CHECK(w.metrics->lags()[0].events + w.metrics->lags()[1].events == 7);
  w.holding = false;
  w.answer_held();
  w.pass(100ms);
  CHECK(ask_what_is_left(w).events == 0);
  CHECK_FALSE(ask_what_is_left(w).is_open);
  CHECK(w.arrived.size() == 7);
}

TEST_CASE("events of a stream that was not read yet count as left") {
  publisher_world w;
  w.start();
  w.journal.append("late", 5);
  w.journal.catalog->extend(1, {.last_seq = 5, .added = {{"late", {5, 0}}}});
  CHECK(ask_what_is_left(w).events >= 5);
  w.pass(200ms);
  CHECK(ask_what_is_left(w).events == 0);
  CHECK(w.arrived.size() == 5);
}

TEST_CASE("a drain tries a sink that is away more often, and notices soon that it is back") {
  publisher_world w;
  w.start(2, {.retry_min_ms = 100ms, .retry_max_ms = 60'000ms});
  w.sink = nothing_taken;
  w.append("a", 40);
  w.pass(300s); // by now it is tried once a minute
  REQUIRE(w.metrics->status().state == sink_state::open);
  auto tries = w.batches.size();
  w.pass(5s);
  CHECK(w.batches.size() <= tries + 1);
  tries = w.batches.size();
  for (int i = 0; i < 50; ++i) {
    CHECK(ask_what_is_left(w).is_open);
    w.pass(100ms);
  }
  CHECK(w.batches.size() >= tries + 8);
  CHECK(w.batches.size() <= tries + 30); // and not as often as it is asked
  w.sink = [](const sink_batch& batch) {
    return delivery::all(batch.events.size(), settled_as::delivered);
  };
  w.pass(1s);
  const auto left = ask_what_is_left(w);
  CHECK(left.events == 0);
  CHECK_FALSE(left.is_open);
}

TEST_CASE("a dead letter that can't be kept is left") {
  publisher_world w;
  w.start();
  w.graveyard_full = true;
  w.sink = [](const sink_batch& batch) {
    return delivery::all(batch.events.size(), settled_as::refused, "too odd");
  };
  w.append("a", 1);
  w.pass(60s);
  CHECK(ask_what_is_left(w).events == 1);
  w.graveyard_full = false;
  w.pass(3s);
  CHECK(ask_what_is_left(w).events == 0);
}
