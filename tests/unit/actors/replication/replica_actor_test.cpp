// The holder's side of ack = "replicated".
#include "actors/base/lifecycle_messages.hpp"
#include "actors/replication/replica_keys.hpp"
#include "tests/unit/actors/replication/replica_world.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace penstock;
using namespace penstock::test;
using namespace std::chrono_literals;

namespace {

class replica_fixture : public actor_fixture {
 public:
  ~replica_fixture() {
    one.reset();
    run();
  }

  void start(std::chrono::milliseconds adopt_after = 0ms, std::uint64_t max_bytes = 64u << 20) {
    one = std::make_unique<holder>(system, adopt_after, self, max_bytes);
    run();
  }

  static replica_batch batch_of(const std::string& tag) {
    replica_batch batch;
    batch.session = 3;
    batch.tag = tag;
    batch.node = "a";
    return batch;
  }

  /// As an origin does; `rows` are of one event each.
  void offer(std::uint64_t after, std::vector<std::uint64_t> rows, std::uint64_t confirmed = 0,
             std::size_t body_bytes = 0) {
    auto batch = batch_of(origin_tag);
    batch.after_seq = after;
    batch.confirmed_seq = confirmed;
    for (const auto seq : rows)
      batch.rows.push_back(
          {std::make_shared<const event_block>(numbered_block(seq, 1, "default", body_bytes))});
    self->send(one->actor, std::move(batch));
  }

  replica_held answer() {
    run();
    replica_held first, no_other;
    REQUIRE(take(self, first));
    CHECK_FALSE(take(self, no_other));
    CHECK(first.session == 3);
    return first;
  }

  std::unique_ptr<holder> one;
};

} // namespace

TEST_CASE_METHOD(replica_fixture, "what was in the mailbox together is one commit and one answer",
                 "[replica]") {
  start();
  offer(0, {});
  CHECK(answer().settled_seq == 0);
  offer(0, {5, 6});
  offer(6, {9});
  const auto held = answer();
  CHECK(held.ok);
  CHECK(held.settled_seq == 9);
  CHECK(one->held() == std::vector<std::uint64_t>{5, 6, 9});
  CHECK(one->metrics->commits.value() == 1);
  offer(0, {5, 6}); // again, as after a lost answer
  offer(9, {12});
  CHECK(answer().settled_seq == 12);
  CHECK(one->held() == std::vector<std::uint64_t>{5, 6, 9, 12});
}

TEST_CASE_METHOD(replica_fixture, "nothing is kept after a gap", "[replica]") {
  start();
  offer(0, {5});
  CHECK(answer().settled_seq == 5);
  offer(7, {8});
  const auto refused = answer();
  CHECK_FALSE(refused.ok);
  CHECK(refused.settled_seq == 5);
  CHECK(one->held() == std::vector<std::uint64_t>{5});
  // What came before it in the group is told for what it is.
  offer(5, {6});
  offer(9, {10});
  run();
  replica_held update;
  REQUIRE(take(self, update));
  CHECK_FALSE(update.ok);
  CHECK(update.settled_seq == 6);
  CHECK(one->held() == std::vector<std::uint64_t>{5, 6});
  // A gap that the sinks have filled is none.
  offer(20, {21}, 20);
  CHECK(answer().settled_seq == 21);
  CHECK(one->store->list().at(0).forgotten_seq == 20);
}

TEST_CASE_METHOD(replica_fixture, "a failure is told, and what follows it is not kept",
                 "[replica]") {
  start(0ms, 1u << 20);
  offer(0, {1});
  CHECK(answer().settled_seq == 1);
  std::uint64_t last = 1;
  replica_held update{.ok = true};
  for (int i = 0; i < 20 && update.ok; ++i, ++last) {
    offer(last, {last + 1}, 0, 200'000);
    update = answer();
  }
  CHECK_FALSE(update.ok);
  CHECK_FALSE(update.why.empty());
  const auto settled = update.settled_seq;
  CHECK(settled == one->held().back());
  offer(last, {last + 1});
  CHECK_FALSE(answer().ok);
  // What the sinks have makes room.
  self->send(one->actor, replica_news{.tag = origin_tag, .confirmed_seq = settled});
  pass(1s, 1s);
  offer(0, {});
  CHECK(answer().settled_seq == settled);
  offer(settled, {settled + 1});
  CHECK(answer().settled_seq == settled + 1);
}

TEST_CASE_METHOD(replica_fixture, "a row that contradicts itself is refused", "[replica]") {
  start();
  auto block = numbered_block(1, 1);
  block.events[0].type = 7;
  auto batch = batch_of(origin_tag);
  batch.rows = {{std::make_shared<const event_block>(block)}};
  self->send(one->actor, batch);
  CHECK_FALSE(answer().ok);
  self->send(one->actor, batch_of("../../x"));
  CHECK_FALSE(answer().ok);
}

TEST_CASE_METHOD(replica_fixture, "what the sinks have is forgotten by and by", "[replica]") {
  start();
  offer(0, {5, 6});
  CHECK(answer().settled_seq == 6);
  self->send(one->actor, replica_news{.tag = origin_tag, .confirmed_seq = 6});
  self->send(one->actor, replica_news{.tag = "bbbbbbbb", .confirmed_seq = 6}); // none of ours
  run();
  CHECK(one->store->list().at(0).forgotten_seq == 0);
  pass(1s, 1s);
  CHECK(one->store->list().at(0).forgotten_seq == 6);
}

TEST_CASE_METHOD(replica_fixture, "a node that does not come back is adopted once", "[replica]") {
  start(10s);
  offer(0, {5, 6});
  CHECK(answer().ok);
  adopt_replica request;
  pass(8s, 1s);
  self->send(one->actor, replica_news{.tag = origin_tag}); // it lives
  pass(9s, 1s);
  CHECK_FALSE(take(self, request));
  pass(2s, 1s);
  REQUIRE(take(self, request));
  CHECK(request.tag == origin_tag);
  CHECK(request.node == "a");
  CHECK(one->store->list().empty()); // let go of, so that the journal can be opened
  pass(30s, 1s);
  CHECK_FALSE(take(self, request));
  offer(6, {7}); // it comes back in between
  CHECK_FALSE(answer().ok);

  self->send(one->actor, replica_adopted{.tag = origin_tag, .node = "a", .why = "sink is away"});
  run();
  CHECK(one->held() == std::vector<std::uint64_t>{5, 6});
  pass(55s, 1s);
  CHECK_FALSE(take(self, request));
  pass(10s, 1s);
  REQUIRE(take(self, request));
  self->send(one->actor,
             replica_adopted{.tag = origin_tag, .node = "a", .is_done = true, .is_empty = true});
  run();
  CHECK(one->metrics->adopted.value() == 1);
  CHECK_FALSE(std::filesystem::exists(replica_dir(one->dir.path(), origin_tag)));
  offer(0, {}); // as good as never seen
  CHECK(answer().settled_seq == 0);
}

TEST_CASE_METHOD(replica_fixture, "what an adoption leaves is set aside", "[replica]") {
  start(2s);
  offer(0, {5, 6});
  CHECK(answer().ok);
  pass(5s, 1s);
  adopt_replica request;
  REQUIRE(take(self, request));
  self->send(one->actor, replica_adopted{.tag = origin_tag, .node = "a", .is_done = true});
  run();
  CHECK(std::filesystem::exists(replica_dir(one->dir.path(), origin_tag + ".adopted")));
  CHECK(one->store->list().empty());
}

TEST_CASE_METHOD(replica_fixture, "who owes nothing makes room, and who slept adopts nobody",
                 "[replica]") {
  start(10s);
  offer(0, {5});
  CHECK(answer().ok);
  adopt_replica request;
  pass(1h, 1h); // this holder was stopped
  CHECK_FALSE(take(self, request));
  CHECK(one->store->list().size() == 1);
  self->send(one->actor, replica_news{.tag = origin_tag, .confirmed_seq = 5});
  pass(20s, 1s);
  CHECK_FALSE(take(self, request));
  CHECK(one->store->list().empty());
  CHECK_FALSE(std::filesystem::exists(replica_dir(one->dir.path(), origin_tag)));
}

TEST_CASE_METHOD(replica_fixture, "the keys of what is held are told before it is said to be held",
                 "[replica][keys]") {
  start();
  key_indexes lanes;
  lanes.indexes = {stand_in(self), stand_in(self)};
  self->send(one->actor, lanes);
  auto block = numbered_block(5, 3);
  block.keys = {{{0, 2}, 3, 0, 1}, {{UINT64_MAX, 5}, 6, 1, 2}};
  auto batch = batch_of(origin_tag);
  batch.version = passing_wire_version;
  batch.rows = {{std::make_shared<const event_block>(block)}};
  batch.keys = keys_of(batch.rows);
  self->send(one->actor, batch);
  run();
  std::vector<std::uint64_t> told;
  bool is_held = false;
  for (int i = 0; i < 3; ++i)
    self->receive(
        [&](const key_rows& rows) {
          CHECK_FALSE(is_held);
          CHECK(rows.tags == std::vector{origin_tag});
          CHECK(rows.complete.empty());
          for (const auto& key : rows.keys)
            told.push_back(key.seq);
        },
        [&](const replica_held& held) { is_held = held.ok && held.settled_seq == 7; },
        caf::after(0s) >> [] {});
  CHECK(is_held);
  std::ranges::sort(told);
  CHECK(told == std::vector<std::uint64_t>{5, 6});
  // And they are on the disk: for the next start, and for who it is passed on to.
  auto reader = journal_reader::make(one->store->catalog(origin_tag));
  reader->want_keys();
  const auto all = [](const std::string&) { return true; };
  const auto read = reader->read_wanted(all, 0, no_limit_bytes, 10);
  REQUIRE(read.has_value());
  REQUIRE(read->size() == 1);
  REQUIRE(read->at(0)->keys.size() == 2);
  CHECK(read->at(0)->keys[1].key == idempotency_key{UINT64_MAX, 5});
  CHECK(read->at(0)->keys[1].first == 1);
  CHECK(read->at(0)->keys[1].count == 2);
}

// -- room -----------------------------------------------------------------------------------------

namespace {

/// An origin with a stream that nobody reads and one whose consumer gives one event back for ever.
class room_fixture : public replica_fixture {
 public:
  static constexpr std::uint64_t max_bytes = 8u << 20;
  static constexpr std::uint64_t poison = 2;

  room_fixture() { start(10s, max_bytes); }

  replica_batch batch_after(std::uint64_t after) {
    auto batch = batch_of(origin_tag);
    batch.after_seq = after;
    return batch;
  }
  /// About a quarter of what may be held; the first of it is for nobody. Says whether it is kept.
  bool fill() {
    auto batch = batch_after(last);
    const auto add = [&](const std::string& stream, std::size_t body_bytes) {
      batch.rows.push_back(
          {std::make_shared<const event_block>(numbered_block(++last, 1, stream, body_bytes))});
    };
    add("unread", 10);
    unread.push_back(last);
    while (batch.rows.size() < 50)
      add("default", 30'000);
    self->send(one->actor, std::move(batch));
    const auto held = answer();
    CHECK(held.settled_seq == last);
    return held.ok;
  }
  replica_news update() const {
    replica_news out{.version = delivered_wire_version, .tag = origin_tag};
    out.as_of_seq = last;
    out.delivered = {{"default", poison - 1, {{poison + 1, last}}}, {"unread", 0, {}}};
    return out;
  }
  /// As an origin does, once a second.
  void tell(const replica_news& what) {
    self->send(one->actor, what);
    pass(1s, 1s);
  }
  std::uint64_t held_bytes() const { return one->store->list().at(0).bytes; }
  using seqs = std::vector<std::uint64_t>;

  std::uint64_t last = 0;
  seqs unread;
};

} // namespace

TEST_CASE_METHOD(room_fixture, "what is delivered does not wait for what is not",
                 "[replica][space]") {
  for (int i = 0; i < 20; ++i) { // five times what may be held
    REQUIRE(fill());
    tell(update());
    tell(update());
    CHECK(held_bytes() < max_bytes / 4 * 3);
  }
  CHECK(one->held(origin_tag, "unread") == unread);
  CHECK(one->held().front() == poison);
  CHECK(one->held().size() < 100); // of those in the last segments
  CHECK(one->store->list().at(0).forgotten_seq == 0);
  CHECK(one->metrics->moved_bytes.value() > 0);
  CHECK(one->metrics->moved_bytes.value() < 20 * max_bytes / 4 / 10);

  // A session that begins again resends nothing, and goes on.
  offer(0, {});
  CHECK(answer().settled_seq == last);
  CHECK(fill());
  CHECK(one->held(origin_tag, "unread") == unread);
}

TEST_CASE_METHOD(room_fixture, "a restart knows how far it held all, though the last segments went",
                 "[replica][space]") {
  for (int i = 0; i < 3; ++i)
    REQUIRE(fill());
  const auto last_segment = [this] { return one->store->catalog(origin_tag)->list().back(); };
  while (last_segment().first_seq != 0) {
    offer(last, {last + 1}, 0, 30'000);
    CHECK(answer().settled_seq == ++last);
  }
  tell(update());
  tell(update());
  CHECK(one->held(origin_tag, "unread") == unread);
  CHECK(held_bytes() < max_bytes / 2);
  const auto options = one->store->options();
  caf::anon_send(one->actor, drain{});
  run();
  one->store.reset();
  auto again = replica_store::open(options);
  REQUIRE(again);
  CHECK((*again)->settled_seq(origin_tag) == last);
}

TEST_CASE_METHOD(room_fixture, "who is told nothing, or nonsense, lets go of nothing",
                 "[replica][space]") {
  REQUIRE(fill());
  REQUIRE(fill());
  auto what = update();
  SECTION("by a peer of an earlier version") {
    what.version = delivered_wire_version - 1;
  }
  SECTION("out of order") {
    std::swap(what.delivered[0], what.delivered[1]);
  }
  SECTION("ranges overlap") {
    what.delivered[0].beyond.emplace_back(5, 6);
  }
  tell(what);
  tell(what);
  CHECK(one->held().size() == 2 * 49);
  tell(update());
  tell(update());
  CHECK(one->held().size() < 2 * 49);
  CHECK(one->held(origin_tag, "unread") == unread);
}

TEST_CASE_METHOD(room_fixture, "who adopts is given what the origin told last",
                 "[replica][space]") {
  REQUIRE(fill());
  REQUIRE(fill());
  tell(update());
  pass(11s, 1s);
  adopt_replica request;
  REQUIRE(take(self, request));
  REQUIRE(request.told);
  CHECK(request.told->is_in_backlog("default", poison, 0));
  CHECK_FALSE(request.told->is_in_backlog("default", last, 0));
  tell(update()); // it lives after all, but its directory is the adopter's
  self->send(one->actor, replica_adopted{.tag = origin_tag, .node = "a", .why = "sink is away"});
  run();
  const auto before = held_bytes();
  tell(update());
  tell(update());
  CHECK(held_bytes() <= before);
  CHECK(fill());
  CHECK(one->held(origin_tag, "unread") == unread);
}
