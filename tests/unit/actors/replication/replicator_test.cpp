// The origin's side of ack = "replicated", with real holders.
#include "actors/base/lifecycle_messages.hpp"
#include "actors/cluster/link_messages.hpp"
#include "actors/journal/journal_messages.hpp"
#include "actors/replication/replica_choice.hpp"
#include "actors/replication/replicator.hpp"
#include "tests/unit/actors/replication/replica_world.hpp"
#include "tests/unit/actors/stand_in.hpp"

#include <catch2/catch.hpp>

using namespace penstock;
using namespace penstock::test;
using namespace std::chrono_literals;

namespace {

using seq_list = std::vector<std::uint64_t>;

/// A node whose events are replicated: a journal that the test writes, and two peers, of which the
/// first is the one that is chosen.
class replicator_fixture : public actor_fixture {
 public:
  explicit replicator_fixture(bool lost_some = false)
      : store(open_journal(options_in(dir.path()))) {
    next = store->next_seq();
    addresses = {"10.0.0.1:1", "10.0.0.2:1"};
    if (*holder_of(store->tag(), addresses) == 1) std::swap(addresses[0], addresses[1]);
    auto parts = std::make_shared<replicator_parts>();
    parts->tag = store->tag();
    parts->node = "a";
    parts->catalog = store->catalog();
    parts->reader = journal_reader::make(store->catalog());
    parts->metrics = metrics;
    parts->cursors = cursors;
    parts->lost_some = lost_some;
    parts->routes = {{"out", [](const std::string& stream) { return stream != "logs"; }}};
    actor = plain_actor(system.spawn(replicator, parts));
    for (auto& one : peers)
      one = std::make_unique<holder>(system);
    streams.wanted = [](const std::string& stream) { return stream != "logs"; };
    streams.sinks = {"out"};
    self->send(actor, streams);
    run();
  }
  ~replicator_fixture() {
    caf::anon_send(actor, drain{});
    for (auto& one : peers)
      one.reset();
    run();
  }

  void up(std::uint16_t member) { up(member, peers[member]->actor); }
  void up(std::uint16_t member, const caf::actor& replicas, std::uint32_t version = wire_version) {
    peer_up update;
    update.version = version;
    update.member = member;
    update.replicas = stand_in(replicas);
    update.address = addresses[member];
    self->send(actor, update);
    run();
  }
  void down(std::uint16_t member) {
    self->send(actor, peer_down{member});
    run();
  }

  /// A row that is durable, and told as the journal actor tells it; gives its first number.
  std::uint64_t write(std::size_t events = 1, const std::string& stream = "default",
                      std::size_t body_bytes = 0) {
    const auto row =
        std::make_shared<const event_block>(numbered_block(next, events, stream, body_bytes));
    require_ok(store->append(*row));
    require_ok(store->commit());
    next += events;
    if (streams.wanted(stream)) self->send(actor, journal_rows{{row}});
    return row->first_seq;
  }

  void await(std::uint64_t token, std::uint64_t seq, const std::string& stream = "default",
             std::uint64_t count = 1) {
    auto question = std::make_shared<await_published>();
    question->stream = stream;
    question->items = {{token, 7, seq, seq + count - 1}};
    question->timeout_ms = timeout;
    question->front_end = stand_in(self);
    self->send(actor, await_published_ptr{question});
    run();
  }

  /// Token → whether it is on two nodes.
  std::map<std::uint64_t, bool> told() {
    std::map<std::uint64_t, bool> all;
    published_update update;
    while (take(self, update))
      for (const auto& item : update.items)
        all[item.token] = item.published;
    return all;
  }

  seq_list held(std::size_t peer, const std::string& stream = "default") {
    return peers[peer]->held(store->tag(), stream);
  }

  temporary_dir dir;
  std::shared_ptr<cursor_store> cursors = cursor_store::open(dir.path()).value();
  std::unique_ptr<journal> store;
  std::uint64_t next = 0;
  std::chrono::milliseconds timeout{2'000};
  std::vector<std::string> addresses;
  std::shared_ptr<replicator_metrics> metrics = std::make_shared<replicator_metrics>();
  replicated_streams streams;
  caf::actor actor;
  std::unique_ptr<holder> peers[2];
};

using answers = std::map<std::uint64_t, bool>;

} // namespace

TEST_CASE_METHOD(replicator_fixture, "a request is answered when the holder has its events",
                 "[replica]") {
  up(1);
  up(0); // the better choice, but the holder stays
  const auto first = write(3);
  await(1, first, "default", 3);
  CHECK(told() == answers{{1, true}});
  const auto second = write(2, "errors");
  run();
  await(2, second); // held already when it is asked
  CHECK(told() == answers{{2, true}});
  CHECK(held(1) == seq_list{first, first + 1, first + 2});
  CHECK(held(1, "errors") == seq_list{second, second + 1});
  CHECK(held(0).empty());
  CHECK(metrics->holder_changes.value() == 1);
  CHECK(metrics->waiting_bytes.value() == 0);
}

TEST_CASE_METHOD(replicator_fixture, "the first holder is the first in order", "[replica]") {
  down(1);
  up(0);
  up(1);
  write();
  run();
  CHECK(held(0).size() == 1);
  CHECK(held(1).empty());
}

TEST_CASE_METHOD(replicator_fixture, "the next holder gets all that the sinks do not have",
                 "[replica]") {
  up(0);
  up(1);
  seq_list all;
  for (int i = 0; i < 5; ++i)
    all.push_back(write());
  run();
  CHECK(held(0) == all);
  self->send(actor, confirmed_up_to{all[1], "out"});
  run();
  down(0);
  await(1, all[4]);
  CHECK(told() == answers{{1, true}});
  CHECK(held(1) == seq_list{all[2], all[3], all[4]});
  // Back to the first: only what it does not have.
  all.push_back(write());
  run();
  const auto sent = metrics->events.value();
  up(0);
  down(1);
  all.push_back(write());
  run();
  CHECK(held(0) == all);
  CHECK(metrics->events.value() == sent + 2);
}

TEST_CASE_METHOD(replicator_fixture, "with nobody in reach it says so, in time", "[replica]") {
  const auto first = write();
  await(1, first);
  CHECK(told().empty()); // somebody may come
  pass(3s, 1s);
  await(2, first);
  CHECK(told() == answers{{2, false}}); // at once
  up(0);
  await(3, first);
  CHECK(told() == answers{{3, true}});
  // A peer that speaks an earlier version holds nothing.
  down(0);
  up(1, caf::actor{});
  await(4, write());
  CHECK(told().empty());
}

TEST_CASE_METHOD(replicator_fixture, "streams that are not replicated are not sent, nor promised",
                 "[replica]") {
  up(0);
  await(1, write(1, "logs"), "logs");
  CHECK(told() == answers{{1, false}});
  // From some number on they are: what came before may never have been sent.
  const auto before = write(1, "logs");
  streams.wanted = [](const std::string&) { return true; };
  streams.since_seq = before;
  self->send(actor, streams);
  const auto after = write(1, "logs");
  await(2, before, "logs");
  await(3, after, "logs");
  CHECK(told() == answers{{2, false}, {3, true}});
  CHECK(held(0, "logs") == seq_list{after});
}

TEST_CASE_METHOD(replicator_fixture, "a holder that refuses, hangs or ends is left", "[replica]") {
  timeout = 10s;
  up(0, self); // takes all and says nothing
  up(1);
  const auto first = write();
  await(1, first);
  CHECK(told().empty());
  replica_batch question;
  REQUIRE(take(self, question));
  CHECK(question.rows.empty());
  CHECK(question.tag == store->tag());
  SECTION("it hangs") {
    pass(2s, 1s);
    CHECK(told().empty());
    pass(2s, 1s);
    CHECK(told() == answers{{1, true}});
    CHECK(held(1) == seq_list{first});
  }
  SECTION("it refuses") {
    self->send(actor, replica_held{.session = question.session, .ok = false, .why = "no room"});
    run();
    CHECK(told() == answers{{1, true}});
    CHECK(held(1) == seq_list{first});
  }
  SECTION("an answer of an earlier session says nothing") {
    self->send(actor, replica_held{.session = question.session - 1, .settled_seq = first});
    run();
    CHECK(told().empty());
  }
}

TEST_CASE_METHOD(replicator_fixture, "a holder that takes nothing is none, until it has taken some",
                 "[replica]") {
  up(0, self);
  const auto first = write();
  const auto asked = [&] {
    replica_batch question;
    REQUIRE(take(self, question));
    return question;
  };
  const auto answer = [&](const replica_held& what) {
    self->send(actor, what);
    run();
  };
  auto session = asked().session;
  answer({.session = session, .settled_seq = first - 1});
  CHECK(asked().rows.size() == 1);
  CHECK(metrics->has_holder.value() == 1);
  answer({.session = session, .ok = false, .why = "no room"});
  CHECK(metrics->has_holder.value() == 0);
  pass(holder_patience + 1s, 1s);
  session = asked().session; // it is asked again, and may say yes
  answer({.session = session, .settled_seq = first - 1});
  CHECK(asked().rows.size() == 1);
  CHECK(metrics->has_holder.value() == 0);
  answer({.session = session, .settled_seq = first});
  CHECK(metrics->has_holder.value() == 1);
}

TEST_CASE_METHOD(replicator_fixture, "the actor of a holder ends before its link", "[replica]") {
  up(0);
  up(1);
  const auto first = write();
  run();
  CHECK(held(0) == seq_list{first});
  caf::anon_send(peers[0]->actor, drain{});
  run();
  await(1, write());
  CHECK(told() == answers{{1, true}});
  CHECK(held(1) == seq_list{first, first + 1});
}

TEST_CASE_METHOD(replicator_fixture, "what does not fit into memory is read from the journal again",
                 "[replica]") {
  up(0, self);
  replica_batch batch;
  REQUIRE(take(self, batch));
  self->send(actor, replica_held{.session = batch.session, .settled_seq = 0});
  run();
  constexpr std::size_t body = 400'000;
  seq_list all;
  std::size_t most_under_way = 0;
  for (int i = 0; i < 60; ++i) {
    all.push_back(write(1, "default", body));
    run();
    most_under_way =
        std::max(most_under_way, static_cast<std::size_t>(metrics->waiting_bytes.value()));
  }
  CHECK(most_under_way < max_replica_in_flight_bytes + 2 * max_replica_batch_bytes);
  // The holder catches up: each event comes once and in order.
  seq_list got;
  std::uint64_t last = 0;
  while (take(self, batch)) {
    if (batch.rows.empty()) continue;
    CHECK(batch.after_seq == last);
    for (const auto& [row] : batch.rows)
      for (std::size_t i = 0; i < row->size(); ++i)
        got.push_back(row->first_seq + i);
    last = batch.rows.back().block->last_seq();
    self->send(actor, replica_held{.session = batch.session, .settled_seq = last});
    run();
  }
  CHECK(got == all);
  CHECK(metrics->read_blocks.value() > 0);
  CHECK(metrics->waiting_bytes.value() == 0);
}

TEST_CASE_METHOD(replicator_fixture, "all peers hear that it lives and what it needs no more",
                 "[replica]") {
  up(1);
  up(0, self);
  self->send(actor, confirmed_up_to{write(), "out"});
  run();
  pass(1s, 1s);
  replica_news update;
  REQUIRE(take(self, update));
  CHECK(update.tag == store->tag());
  CHECK(update.confirmed_seq == next - 1);
}

TEST_CASE_METHOD(replicator_fixture, "peers that know it hear what of each stream was delivered",
                 "[replica]") {
  up(1);
  up(0, self);
  const auto unread = write(1, "unread");
  const auto read = write(5);
  write(1, "logs");
  require_ok(cursors->save(
      {{"default", lane_cursor_name("out", 0, 1), read + 1, {{read + 3, read + 4}}}}));
  self->send(actor, confirmed_up_to{unread - 1, "out"});
  run();
  const auto last_update = [this] {
    replica_news update;
    while (take(self, update)) {
    }
    return update;
  };
  pass(1s, 1s);
  auto update = last_update();
  CHECK(update.version == delivered_wire_version);
  CHECK(update.confirmed_seq == unread - 1);
  CHECK(update.as_of_seq == next - 1);
  REQUIRE(update.delivered.size() == 2);
  CHECK(update.delivered[0].stream == "default");
  CHECK(update.delivered[0].floor == read + 1);
  CHECK(update.delivered[0].beyond == std::vector<seq_ranges::range>{{read + 3, read + 4}});
  CHECK(update.delivered[1].stream == "unread");
  CHECK(update.delivered[1].floor == 0);
  SECTION("where all is delivered one number says it") {
    self->send(actor, confirmed_up_to{next - 1, "out"});
    pass(1s, 1s);
    update = last_update();
    CHECK(update.version == replicas_wire_version);
    CHECK(update.confirmed_seq == next - 1);
  }
  SECTION("a peer of an earlier version hears what it knows") {
    down(0);
    up(0, self, delivered_wire_version - 1);
    pass(1s, 1s);
    update = last_update();
    CHECK(update.version == replicas_wire_version);
    CHECK(update.confirmed_seq == unread - 1);
    CHECK(update.delivered.empty());
  }
}

TEST_CASE_METHOD(replicator_fixture, "events that no other node is known to have are counted",
                 "[replica]") {
  const auto single = [this] { return metrics->single_events.value(); };
  write(3);
  write(1, "logs"); // not replicated
  pass(1s, 1s);
  CHECK(single() >= 3); // by segments
  up(0);
  CHECK(single() == 0);
  up(1, self); // the next holder, which says nothing yet
  const auto last = write(2);
  run();
  CHECK(single() == 0);
  down(0);
  replica_batch question;
  REQUIRE(take(self, question));
  CHECK(single() >= 5);
  self->send(actor, replica_held{.session = question.session, .settled_seq = 0});
  run();
  CHECK(single() == 5); // under way
  self->send(actor, replica_held{.session = question.session, .settled_seq = last + 1});
  run();
  CHECK(single() == 0);
  write();
  run();
  CHECK(single() == 1);
}

TEST_CASE_METHOD(replicator_fixture, "keys go with their events, also when they are read again",
                 "[replica][keys]") {
  auto block = numbered_block(next, 2);
  block.keys = {{{1, 2}, 3, 0, 2}};
  const auto row = std::make_shared<const event_block>(block);
  require_ok(store->append(*row));
  require_ok(store->commit());
  next += 2;
  const auto next_batch = [this] {
    replica_batch batch;
    REQUIRE(take(self, batch));
    return batch;
  };
  SECTION("to a holder that knows them") {
    up(0, self);
    const auto session = next_batch().session;
    self->send(actor, replica_held{.session = session});
    run();
    const auto read = next_batch();
    REQUIRE(read.keys.size() == 1);
    CHECK(read.keys[0].row == 0);
    CHECK(read.keys[0].key.key == idempotency_key{1, 2});
    CHECK(read.keys[0].key.count == 2);
    block.first_seq = next;
    const auto more = std::make_shared<const event_block>(block);
    require_ok(store->append(*more));
    require_ok(store->commit());
    self->send(actor, journal_rows{{more}});
    run();
    CHECK(next_batch().keys.size() == 1);
  }
  SECTION("not to one of an earlier version") {
    up(0, self, passing_wire_version - 1);
    const auto session = next_batch().session;
    self->send(actor, replica_held{.session = session});
    run();
    const auto read = next_batch();
    CHECK(read.version == replicas_wire_version);
    CHECK(read.rows.size() == 1);
    CHECK(read.keys.empty());
  }
}

// A holder takes events in their order, so that a new one comes behind all that is owed.
TEST_CASE_METHOD(replicator_fixture, "a new event waits a round trip for each 4 MiB that are owed",
                 "[replica]") {
  constexpr std::size_t backlog = 32;
  for (std::size_t i = 0; i < backlog; ++i)
    write(1, "default", 1u << 20);
  run();
  constexpr auto round_trip = 10ms;
  up(0, self);
  const auto fresh = write();
  await(1, fresh);
  auto waited = 0ms;
  while (told().empty() && waited < 1s) {
    replica_held held;
    replica_batch batch;
    while (take(self, batch)) {
      held.session = batch.session;
      if (!batch.rows.empty()) held.settled_seq = batch.rows.back().block->last_seq();
    }
    pass(round_trip, round_trip);
    waited += round_trip;
    self->send(actor, held);
    run();
  }
  const auto rounds = waited / round_trip;
  CHECK(rounds >= static_cast<long>((backlog << 20) / max_replica_in_flight_bytes));
  CHECK(rounds <= static_cast<long>((backlog << 20) / max_replica_in_flight_bytes) + 2);
}

struct damaged_origin : replicator_fixture {
  damaged_origin() : replicator_fixture(true) {}
};

TEST_CASE_METHOD(damaged_origin, "what an origin lost at its start is said in each session",
                 "[replica][damage]") {
  write();
  const auto last = write();
  replica_batch batch;
  for (const std::uint16_t member : {0, 1}) {
    up(member, self);
    REQUIRE(take(self, batch)); // the question
    self->send(actor, replica_held{.session = batch.session});
    run();
    REQUIRE(take(self, batch));
    CHECK(batch.is_partial);
    self->send(actor, replica_held{.session = batch.session, .settled_seq = last});
    run();
    down(member);
  }
  up(0, self);
  REQUIRE(take(self, batch));
  self->send(actor, replica_held{.session = batch.session, .settled_seq = last});
  write();
  write();
  run();
  REQUIRE(take(self, batch));
  CHECK(batch.is_partial);
  write();
  run();
  REQUIRE(take(self, batch));
  CHECK_FALSE(batch.is_partial); // what comes after it is all there
}

TEST_CASE_METHOD(replicator_fixture, "what the origin itself can't read is said to be missing",
                 "[replica][damage]") {
  write();
  const auto damaged = write();
  const auto last = write();
  damage_row(*store->catalog(), damaged);
  up(0, self);
  replica_batch batch;
  REQUIRE(take(self, batch));
  CHECK_FALSE(batch.is_partial);
  self->send(actor, replica_held{.session = batch.session});
  run();
  REQUIRE(take(self, batch));
  CHECK(batch.rows.size() == 2);
  CHECK(batch.is_partial);
  self->send(actor, replica_held{.session = batch.session, .settled_seq = last});
  write();
  run();
  REQUIRE(take(self, batch));
  CHECK(batch.rows.size() == 1);
  CHECK_FALSE(batch.is_partial); // what comes after it is all there
}
