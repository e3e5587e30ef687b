// Streams that fail alone hold only themselves.
#include "actors/delivery/sink_metrics.hpp"
#include "tests/unit/actors/delivery/publisher_world.hpp"
#include "tests/unit/actors/stand_in.hpp"

#include <algorithm>
#include <set>

using namespace penstock;
using namespace penstock::test;
using namespace std::chrono_literals;

namespace {

constexpr int broken_streams = 40;

delivery failed_as(const sink_batch& batch, failure_scope scope) {
  auto out = delivery::all(batch.events.size(), settled_as::failed,
                           "topic " + batch.stream + " is not there");
  out.scope = scope;
  return out;
}

bool is_broken(const sink_batch& batch) {
  return batch.stream.starts_with("broken");
}

std::function<delivery(const sink_batch&)> broken_as(failure_scope scope) {
  return [scope](const sink_batch& batch) {
    return is_broken(batch) ? failed_as(batch, scope)
                            : delivery::all(batch.events.size(), settled_as::delivered);
  };
}

void break_streams(publisher_world& w, int count = broken_streams) {
  for (int i = 0; i < count; ++i)
    w.append("broken" + std::to_string(i), 3);
}

/// Whether each event of "well" arrives within a batch's linger, while the others are broken.
void check_well(publisher_world& w, int rounds) {
  for (int i = 0; i < rounds; ++i) {
    const auto before = w.arrived.size();
    w.append("well", 1);
    w.pass(20ms);
    CHECK(w.arrived.size() == before + 1);
  }
}

sink_lag lag_of(const publisher_world& w, const std::string& stream) {
  for (const auto& lag : w.metrics->lags())
    if (lag.stream == stream) return lag;
  return {};
}

} // namespace

TEST_CASE("forty streams without a target don't delay one that has its own") {
  publisher_world w;
  w.start(4);
  w.sink = broken_as(failure_scope::missing);
  w.append("well", 1);
  w.pass(20ms);
  break_streams(w);
  check_well(w, 100);
  CHECK(w.metrics->status().state != sink_state::open);
  CHECK(w.stored_dead_letters.empty());
  w.pass(1s);
  CHECK(w.metrics->held_streams.value() == broken_streams);
  CHECK(w.metrics->missing_targets.value() == broken_streams);
  CHECK(lag_of(w, "broken7").state == stream_state::missing);
  CHECK(lag_of(w, "broken7").events == 3);
  CHECK(lag_of(w, "well").state == stream_state::ok);
  // The reasons of so many are kept, of the others their number.
  const auto lags = w.metrics->lags();
  CHECK(static_cast<std::size_t>(std::count_if(lags.begin(), lags.end(), [](const sink_lag& lag) {
          return !lag.error.empty();
        })) == max_told_holds);
}

TEST_CASE("nor do forty that fail without a word while others get through") {
  publisher_world w;
  w.start(4);
  w.sink = broken_as(failure_scope::sink);
  w.append("well", 1);
  w.pass(20ms);
  break_streams(w);
  for (int i = 0; i < 50; ++i) { // until it is known whose fault it is
    w.append("well", 1);
    w.pass(100ms);
  }
  check_well(w, 50);
  CHECK(w.metrics->status().state == sink_state::ok);
}

TEST_CASE("however many are broken, a tenth of a lane's time goes to them") {
  publisher_world w;
  w.start(4);
  w.sink = broken_as(failure_scope::missing);
  break_streams(w, 200);
  w.pass(2s);
  // Each try takes a second.
  w.holding = true;
  std::size_t most = 0;
  int busy = 0, under_way = 0; // 10 ms each
  for (int i = 0; i < 10'000; ++i) {
    w.pass(10ms);
    most = std::max(most, w.held.size());
    under_way = w.held.empty() ? 0 : under_way + 1;
    busy += !w.held.empty();
    if (under_way == 100) w.answer_held();
  }
  CHECK(most == 1);
  CHECK(busy <= 1100);
  CHECK(busy >= 800);
}

TEST_CASE("when its target appears a stream is delivered by itself, whole and in order") {
  publisher_world w;
  w.start(2);
  w.sink = broken_as(failure_scope::missing);
  w.append("broken", 30);
  w.pass(60s);
  CHECK(w.arrived.empty());
  const auto tries = w.batches.size();
  CHECK(tries <= 15);
  w.append("broken", 30);
  w.sink = [](const sink_batch& batch) {
    return delivery::all(batch.events.size(), settled_as::delivered);
  };
  w.pass(31s);
  CHECK(w.arrived.size() == 60);
  CHECK(std::is_sorted(w.arrived.begin(), w.arrived.end()));
  CHECK(w.metrics->status().state == sink_state::ok);
  CHECK(lag_of(w, "broken").state == stream_state::ok);
}

TEST_CASE("after the stated time events without a target are dead letters, later ones with the "
          "next try") {
  publisher_world w;
  w.start(2, {.retry_max_ms = 5s, .missing_target_after_ms = 60s});
  w.sink = broken_as(failure_scope::missing);
  w.append("well", 1);
  w.append("broken", 20);
  w.pass(50s);
  CHECK(w.stored_dead_letters.empty());
  w.pass(20s);
  REQUIRE(w.stored_dead_letters.size() == 20);
  CHECK(w.stored_dead_letters[0].stream == "broken");
  CHECK(w.stored_dead_letters[0].reason.find("topic broken is not there") != std::string::npos);
  CHECK(w.metrics->refused.value() == 20);
  w.append("broken", 300); // more than are stored at once
  w.pass(6s);
  CHECK(w.stored_dead_letters.size() == 320);
  CHECK(w.confirmed.back() == 321); // the journal is free
  // And yet it is tried, so that it goes on when the target is there.
  w.sink = [](const sink_batch& batch) {
    return delivery::all(batch.events.size(), settled_as::delivered);
  };
  w.pass(6s);
  w.append("broken", 2);
  w.pass(6s);
  CHECK(std::count(w.arrived.begin(), w.arrived.end(), 322u) == 1);
  CHECK(std::count(w.arrived.begin(), w.arrived.end(), 323u) == 1);
  CHECK(w.stored_dead_letters.size() == 320);
}

TEST_CASE("an outage of the whole sink makes no dead letters of a stream without a target") {
  publisher_world w;
  w.start(2, {.retry_max_ms = 5s, .missing_target_after_ms = 60s});
  w.sink = broken_as(failure_scope::missing);
  w.append("broken", 5);
  w.pass(30s);
  w.sink = [](const sink_batch& batch) { return failed_as(batch, failure_scope::sink); };
  w.pass(600s);
  CHECK(w.stored_dead_letters.empty());
}

TEST_CASE("who waits for an event without a target is told when it is dead") {
  publisher_world w;
  w.start(1, {.retry_max_ms = 1s, .missing_target_after_ms = 5s});
  w.sink = broken_as(failure_scope::missing);
  w.append("broken", 1);
  auto ask = std::make_shared<await_published>();
  ask->stream = "broken";
  ask->items = {{11, 0, 1, 1}};
  ask->timeout_ms = 60s;
  ask->front_end = stand_in(w.self);
  w.self->send(w.publisher_actor, await_published_ptr{ask});
  w.pass(2s);
  published_update update;
  CHECK_FALSE(take(w.self, update));
  w.pass(10s);
  REQUIRE(take(w.self, update));
  CHECK(update.items[0].token == 11);
  CHECK_FALSE(update.items[0].published);
}

TEST_CASE("a stream that is held keeps little in memory, and loses and doubles nothing") {
  publisher_world w;
  w.start(3, {.batch_events = 10'000}); // so that all of it is read before the first try
  w.append("broken", 400);
  w.pass(100ms);
  REQUIRE(w.arrived.size() == 400);
  w.sink = broken_as(failure_scope::missing);
  w.append("well", 1);
  w.pass(100ms);
  for (int i = 0; i < 20; ++i)
    w.append("broken", 500); // as a whole more than a held stream may keep
  w.pass(60s);
  CHECK(lag_of(w, "broken").events == 10'000);
  CHECK(w.journal.reads > 0); // it let go of them, and read as much as it needs
  w.sink = [](const sink_batch& batch) {
    return delivery::all(batch.events.size(), settled_as::delivered);
  };
  w.pass(60s);
  CHECK(w.arrived.size() == 400 + 1 + 10'000);
  CHECK(std::set(w.arrived.begin(), w.arrived.end()).size() == w.arrived.size());
}

TEST_CASE("a stream whose name makes no target is dead at once, and says nothing of the sink") {
  publisher_world w;
  w.start();
  w.sink = [](const sink_batch& batch) {
    return delivery::no_target(batch.events.size(), "'..' can't be the name of a topic");
  };
  w.append("..", 4);
  w.pass(100ms);
  CHECK(w.stored_dead_letters.size() == 4);
  CHECK(w.batches.size() == 1);
  CHECK(w.stored_dead_letters[0].reason == "'..' can't be the name of a topic");
}

TEST_CASE("a sink all of whose streams wait is told as one that takes nothing") {
  publisher_world w;
  w.start(2);
  w.sink = broken_as(failure_scope::missing);
  break_streams(w, 3);
  w.pass(30s);
  CHECK(w.metrics->status().state == sink_state::open);
  publish_left left;
  w.self->send(w.publisher_actor, publish_rest{});
  w.sched.run();
  w.self->receive([&](const publish_left& got) { left = got; }, caf::after(0s) >> [] {});
  CHECK(left.events == 9);
  CHECK(left.is_open);
}

TEST_CASE("who asks for events to be sent again learns soon that their target is missing") {
  publisher_world w;
  w.start();
  w.sink = broken_as(failure_scope::missing);
  auto block = w.journal.append("broken", 2);
  auto request = std::make_shared<deliver_again>();
  request->batch = {"broken", "nbjoxe3h", "-r1", {}, {{block, 0}, {block, 1}}};
  w.self->send(w.publisher_actor, deliver_again_ptr{request});
  w.pass(5s);
  again_done done;
  REQUIRE(take(w.self, done));
  CHECK(done.events == std::vector<settled_as>(2, settled_as::refused));
  CHECK(done.reasons.at(0) == "topic broken is not there");
}
