#include "actors/base/lifecycle_messages.hpp"
#include "actors/delivery/sink_metrics.hpp"
#include "actors/journal/journal_messages.hpp"
#include "tests/unit/actors/delivery/publisher_world.hpp"
#include "tests/unit/actors/stand_in.hpp"

#include <set>

using namespace penstock;
using namespace penstock::test;
using namespace std::chrono_literals;

namespace {

using seq_order = std::vector<std::uint64_t>;

seq_order up_to(std::uint64_t last) {
  seq_order out;
  for (std::uint64_t seq = 1; seq <= last; ++seq)
    out.push_back(seq);
  return out;
}

delivery all_failed(const sink_batch& batch) {
  return delivery::all(batch.events.size(), settled_as::failed, "connection refused");
}

delivery all_refused(const sink_batch& batch) {
  return delivery::all(batch.events.size(), settled_as::refused, "too odd");
}

} // namespace

TEST_CASE("events arrive in order, and the cursor follows") {
  publisher_world w;
  w.start();
  CHECK(w.watched);
  w.append("a", 3);
  w.append("a", 2);
  w.pass(200ms);
  CHECK(w.arrived == up_to(5));
  CHECK(w.batches[0].lane == "0/1");
  CHECK(w.batches[0].tag == "nbjoxe3h");
  CHECK(w.cursors->by_name.at("a/bus#0/1").seq == 5);
  w.pass(1s);
  CHECK(w.confirmed.back() == 5);
  CHECK(w.metrics->lags()[0].events == 0);
}

TEST_CASE("a stream that does not feed the sink is left alone, and does not hold the journal") {
  publisher_world w;
  w.start();
  w.append("a", 1);
  w.append("elsewhere", 4);
  w.pass(2s);
  CHECK(w.arrived == seq_order{1});
  CHECK(w.confirmed.back() == 5);
}

TEST_CASE("in an outage events stay, then arrive in order, once") {
  publisher_world w;
  w.start(2);
  w.sink = all_failed;
  w.append("a", 5);
  w.pass(5s);
  CHECK(w.metrics->status().state == sink_state::open);
  CHECK(w.metrics->status().last_error == "connection refused");
  CHECK(w.metrics->lags()[0].events == 5);
  CHECK(w.metrics->lags()[0].oldest_ms > 4000);
  CHECK(w.confirmed.empty());
  const auto tries = w.batches.size();
  CHECK(tries < 20); // an open breaker lets few through
  w.sink = [](const sink_batch& batch) {
    return delivery::all(batch.events.size(), settled_as::delivered);
  };
  w.pass(60s);
  CHECK(w.arrived == up_to(5));
  CHECK(w.metrics->status().state == sink_state::ok);
}

TEST_CASE("while the sink takes nothing its publisher sleeps through what comes in") {
  publisher_world w;
  w.start(2);
  bool down = true;
  w.sink = [&](const sink_batch& batch) {
    return down ? all_failed(batch) : delivery::all(batch.events.size(), settled_as::delivered);
  };
  w.append("a", 4);
  w.pass(10s);
  REQUIRE(w.metrics->status().state == sink_state::open);
  w.append("a", 1); // answers the fetch that was under way
  for (int i = 0; i < 10; ++i) {
    w.append("a", 1);
    w.pass(100ms);
    CHECK(w.fetching.empty());
  }
  w.pass(2s);
  CHECK(w.metrics->lags()[0].events == 15);
  down = false;
  w.pass(60s);
  CHECK(w.arrived.size() == 15);
  CHECK(std::set(w.arrived.begin(), w.arrived.end()).size() == 15);
}

TEST_CASE("after a crash only what was under way comes again") {
  publisher_world w;
  w.start();
  w.append("a", 2);
  w.pass(200ms);
  w.holding = true;
  w.append("a", 2);
  w.pass(200ms);
  caf::anon_send_exit(w.publisher_actor, caf::exit_reason::kill);
  w.sched.run();
  w.fetching.clear();
  w.holding = false;
  w.start();
  w.feed();
  w.pass(200ms);
  CHECK(w.arrived == up_to(4));
}

TEST_CASE("a cursor is saved only for what the sink confirmed") {
  publisher_world w;
  w.start();
  w.holding = true;
  w.append("a", 3);
  w.pass(1s);
  CHECK(w.cursors->saves == 0);
  CHECK(w.confirmed.empty());
  // An answer to another batch confirms nothing.
  REQUIRE(w.held.size() == 1);
  const auto other = w.held[0].second->token + 1;
  caf::anon_send(w.publisher_actor,
                 lane_delivered{0, other, delivery::all(3, settled_as::delivered), 10});
  w.pass(1s);
  CHECK(w.cursors->saves == 0);
  CHECK(w.confirmed.empty());
  w.answer_held();
  w.pass(200ms);
  CHECK(w.arrived == up_to(3));
  CHECK(w.cursors->by_name.at("a/bus#0/1").seq == 3);
}

TEST_CASE("a refused event is a dead letter before the cursor passes it") {
  publisher_world w;
  w.graveyard_full = true;
  w.start();
  w.sink = all_refused;
  w.append("a", 1);
  w.pass(500ms);
  w.sink = [](const sink_batch& batch) {
    return delivery::all(batch.events.size(), settled_as::delivered);
  };
  w.append("a", 2);
  w.pass(3s);
  CHECK(w.arrived == seq_order{2, 3}); // the rest is not held up
  CHECK(w.cursors->by_name.at("a/bus#0/1").seq == 0);
  w.graveyard_full = false;
  w.pass(3s);
  REQUIRE(w.stored_dead_letters.size() == 1);
  CHECK(w.stored_dead_letters[0].seq == 1);
  CHECK(w.stored_dead_letters[0].tries == 5);
  CHECK(w.stored_dead_letters[0].reason == "too odd");
  CHECK(w.stored_dead_letters[0].body == "1");
  CHECK(w.cursors->by_name.at("a/bus#0/1").seq == 3);
  CHECK(w.metrics->refused.value() == 1);
}

TEST_CASE("of dead letters as many are kept as there is room for") {
  publisher_world w;
  w.most_dead_letters = 3;
  w.start();
  w.sink = all_refused;
  w.append("a", 100);
  w.pass(30s);
  CHECK(w.stored_dead_letters.size() == 100);
  CHECK(w.metrics->refused.value() == 100);
  CHECK(w.cursors->by_name.at("a/bus#0/1").seq == 100);
}

TEST_CASE("dead letters of configured streams do not wait for those of others") {
  publisher_world w;
  w.unstored = "stranger";
  w.start();
  w.sink = all_refused;
  w.append("stranger", 300);
  w.pass(10s);
  CHECK(w.stored_dead_letters.empty());
  w.append("kept", 300);
  w.pass(10s);
  CHECK(w.stored_dead_letters.size() == 300);
  w.unstored.clear();
  w.pass(10s);
  CHECK(w.stored_dead_letters.size() == 600);
}

TEST_CASE("a restart counts only what was not delivered ahead") {
  publisher_world w;
  for (int i = 0; i < 10; ++i)
    w.journal.append("a", 1);
  w.cursors->by_name["a/bus#0/1"] = {"a", "bus#0/1", 0, {{2, 4}, {6, 9}}};
  w.holding = true;
  w.start();
  w.pass(publisher_upkeep_interval);
  REQUIRE(w.backlog);
  REQUIRE(w.backlog->streams.size() == 1);
  CHECK(w.backlog->streams[0].volume.events == 3);
  w.feed();
  w.pass(publisher_upkeep_interval);
  CHECK(w.backlog->streams[0].volume.events == 3);
  w.holding = false;
  w.answer_held();
  w.pass(publisher_upkeep_interval);
  CHECK(w.arrived == seq_order{1, 5, 10});
  CHECK(w.backlog->streams[0].volume.events == 0);
}

TEST_CASE("front ends learn when their events have arrived, or died") {
  publisher_world w;
  w.start();
  w.holding = true;
  w.append("a", 2);
  w.pass(100ms);
  auto ask = std::make_shared<await_published>();
  ask->stream = "a";
  ask->items = {{11, 0, 1, 1}, {12, 0, 2, 2}};
  ask->timeout_ms = 5s;
  ask->front_end = stand_in(w.self);
  w.self->send(w.publisher_actor, await_published_ptr{ask});
  w.sched.run();
  published_update update;
  CHECK_FALSE(take(w.self, update));
  w.sink = [](const sink_batch& batch) {
    auto out = delivery::all(batch.events.size(), settled_as::delivered);
    for (std::size_t i = 0; i < batch.events.size(); ++i)
      if (batch.events[i].seq() == 2) out.events[i] = settled_as::refused;
    return out;
  };
  w.holding = false;
  w.answer_held();
  w.pass(100ms);
  REQUIRE(take(w.self, update));
  REQUIRE(update.items.size() == 1);
  CHECK(update.items[0].token == 11);
  CHECK(update.items[0].published);
  REQUIRE(take(w.self, update));
  CHECK(update.items[0].token == 12);
  CHECK_FALSE(update.items[0].published);
}

TEST_CASE("events are sent again on request, beside the streams") {
  publisher_world w;
  w.start(2);
  auto block = w.journal.append("elsewhere", 3);
  auto request = std::make_shared<deliver_again>();
  request->batch = {"elsewhere", "nbjoxe3h", "-r1", {}, {{block, 0}, {block, 1}, {block, 2}}};
  w.sink = [](const sink_batch& batch) {
    auto out = delivery::all(batch.events.size(), settled_as::delivered);
    for (std::size_t i = 0; i < batch.events.size(); ++i)
      if (batch.events[i].seq() == 2) out.events[i] = settled_as::refused;
    out.refusal = "too odd";
    return out;
  };
  w.self->send(w.publisher_actor, deliver_again_ptr{request});
  w.pass(1s);
  again_done done;
  REQUIRE(take(w.self, done));
  CHECK(done.ok);
  CHECK(done.events ==
        std::vector<settled_as>{settled_as::delivered, settled_as::refused, settled_as::delivered});
  CHECK(done.reasons == std::vector<std::string>{"too odd"});
  CHECK(w.batches[0].again == "-r1");
  CHECK(w.batches[0].lane.empty());
  CHECK(w.cursors->saves == 0);
}

TEST_CASE("so many requests to send again are under way at once, no more") {
  publisher_world w;
  w.start(1);
  w.holding = true;
  const auto block = w.journal.append("elsewhere", 1);
  const auto ask = [&] {
    auto request = std::make_shared<deliver_again>();
    request->batch = {"elsewhere", "nbjoxe3h", "-r1", {}, {{block, 0}}};
    w.self->send(w.publisher_actor, deliver_again_ptr{request});
    w.pass(1ms);
  };
  again_done done;
  for (std::size_t i = 0; i < max_again_requests; ++i)
    ask();
  CHECK_FALSE(take(w.self, done));
  ask();
  REQUIRE(take(w.self, done));
  CHECK_FALSE(done.ok);
  CHECK(done.why.code == errc::unavailable);
  auto large = std::make_shared<deliver_again>();
  large->batch = {"elsewhere", "nbjoxe3h", "-r1", {}, {}};
  large->batch.events.assign(max_again_events + 1, {block, 0});
  w.self->send(w.publisher_actor, deliver_again_ptr{large});
  w.pass(1ms);
  REQUIRE(take(w.self, done));
  CHECK(done.why.code == errc::invalid);
  for (std::size_t i = 0; i < max_again_requests; ++i) {
    w.pass(1s);
    w.answer_held();
  }
  std::size_t answered = 0;
  while (take(w.self, done))
    ++answered;
  CHECK(answered == max_again_requests);
}

TEST_CASE("a drain waits for the batch under way and saves its cursor") {
  publisher_world w;
  w.start();
  w.holding = true;
  w.append("a", 2);
  w.pass(100ms);
  w.self->send(w.publisher_actor, drain{});
  w.pass(100ms);
  drained done;
  CHECK_FALSE(take(w.self, done));
  w.pass(3s);
  CHECK(w.stopped);
  w.answer_held();
  CHECK(take(w.self, done));
  CHECK(w.cursors->by_name.at("a/bus#0/1").seq == 2);
}

TEST_CASE("what the journal's memory does not reach comes from the segments") {
  publisher_world w;
  w.journal.append("a", 4);
  w.start();
  REQUIRE(w.fetching.count("a") == 1);
  w.fetching.clear();
  caf::anon_send(w.publisher_actor, fetch_reply{"a", true, {}});
  w.sched.run();
  w.pass(100ms);
  CHECK(w.arrived == up_to(4));
  CHECK(w.journal.reads >= 1);
}

TEST_CASE(
    "a stream that the sink can't take is no heap of dead letters while another gets through") {
  publisher_world w;
  w.start();
  w.sink = [](const sink_batch& batch) {
    return batch.stream == "lost" ? all_failed(batch)
                                  : delivery::all(batch.events.size(), settled_as::delivered);
  };
  w.append("lost", 3);
  for (int i = 0; i < 60; ++i) {
    w.append("found", 1);
    w.pass(500ms);
  }
  CHECK(w.stored_dead_letters.empty());
  CHECK(w.arrived.size() == 60);
  CHECK(w.metrics->status().state != sink_state::open);
}
