// Idempotency keys follow their shards from node to node.
#include "actors/base/lifecycle_messages.hpp"
#include "actors/base/shards.hpp"
#include "actors/cluster/link_messages.hpp"
#include "actors/cluster/membership_messages.hpp"
#include "actors/idempotency/idempotency_actor.hpp"
#include "tests/unit/actors/fixture.hpp"
#include "tests/unit/actors/stand_in.hpp"

#include <catch2/catch.hpp>

#include <map>

using namespace penstock;

namespace {

constexpr std::int64_t moves_start_ms = 1'790'000'000'000;
const std::vector<std::string> three{"a:1", "b:1", "c:1"};

idempotency_key nth_key(std::uint64_t n) {
  return {n * 0x9e3779b97f4a7c15, n};
}

// An index is its own front end: what a peer sends to that goes straight to it.
class key_world : public actor_fixture {
 public:
  struct key_node {
    std::shared_ptr<idempotency_index> index =
        std::make_shared<idempotency_index>(100'000, 3'600'000);
    std::shared_ptr<idempotency_metrics> metrics = std::make_shared<idempotency_metrics>();
    std::shared_ptr<std::atomic<std::int64_t>> decides_until_ns =
        std::make_shared<std::atomic<std::int64_t>>(INT64_MAX);
    caf::actor actor;
  };

  key_world() {
    for (std::size_t i = 0; i < three.size(); ++i) {
      auto& made = nodes[i];
      key_moves_parts moves;
      moves.self = static_cast<std::uint16_t>(i);
      moves.tag = tag_of_node(i);
      moves.steady_ns = [now = now_ns] { return *now; };
      moves.decides_until_ns = made.decides_until_ns;
      made.actor = plain_actor(system.spawn(
          idempotency_actor,
          idempotency_parts{made.index,
                            [now = now_ns] { return moves_start_ms + *now / 1'000'000; },
                            made.metrics, moves}));
    }
    for (std::size_t i = 0; i < nodes.size(); ++i)
      for (std::size_t j = 0; j < nodes.size(); ++j)
        if (i != j) link(i, j);
    run();
  }
  ~key_world() {
    for (auto& each : nodes)
      caf::anon_send_exit(each.actor, caf::exit_reason::user_shutdown);
    run();
  }

  static std::string tag_of_node(std::size_t i) { return std::string(7, 't') + char('a' + i); }
  void link(std::size_t from, std::size_t to) {
    caf::anon_send(nodes[from].actor,
                   peer_up{static_cast<std::uint16_t>(to), {}, {stand_in(nodes[to].actor)}});
  }
  void unlink(std::size_t from, std::size_t to) {
    caf::anon_send(nodes[from].actor, peer_down{static_cast<std::uint16_t>(to)});
  }
  static placement_ptr all_to(std::uint64_t epoch, std::uint16_t owner, std::uint16_t source) {
    return std::make_shared<const placement>(places(epoch, owner, source));
  }
  static placement places(std::uint64_t epoch, std::uint16_t owner, std::uint16_t source) {
    placement made;
    made.epoch = epoch;
    made.members = three;
    for (auto& shard : made.shards)
      shard = {.owner = owner, .source = source, .source_owned = source != no_member};
    return made;
  }
  /// The owner has died, and its backup has its shards.
  static placement_ptr heir(std::uint64_t epoch, std::uint16_t owner, std::uint16_t dead,
                            bool confirmed = true) {
    auto made = places(epoch, owner, owner);
    made.members[dead].clear();
    made.confirmed = confirmed;
    for (auto& shard : made.shards)
      shard.source_owned = false;
    return std::make_shared<const placement>(made);
  }
  void tell(std::size_t node, const placement_ptr& places) {
    caf::anon_send(nodes[node].actor, placement_changed{places});
    run();
  }
  void tell_all(const placement_ptr& places) {
    for (auto& each : nodes)
      caf::anon_send(each.actor, placement_changed{places});
    run();
  }
  void ask(std::size_t node, std::uint64_t n, std::uint64_t epoch, std::uint64_t content = 1) {
    self->send(nodes[node].actor, claim_request{n, {{0, nth_key(n), content}}, epoch});
    run();
  }
  std::optional<claim_verdict> answer() {
    claim_reply reply;
    if (!take(self, reply)) return std::nullopt;
    return reply.verdicts.at(0);
  }
  claim_verdict asked(std::size_t node, std::uint64_t n, std::uint64_t epoch,
                      std::uint64_t content = 1) {
    ask(node, n, epoch, content);
    auto told = answer();
    REQUIRE(told);
    return *told;
  }
  void settle(std::size_t node, std::uint64_t n, std::uint64_t seq) {
    const idempotency_record record{nth_key(n), 1, seq, 1, moves_start_ms + *now_ns / 1'000'000};
    caf::anon_send(nodes[node].actor, claims_settled{{{record, 0, 0}}});
    run();
  }
  void store(std::size_t node, std::uint64_t n, std::uint64_t seq, std::uint64_t epoch) {
    REQUIRE(asked(node, n, epoch).state == claim_state::fresh);
    settle(node, n, seq);
  }
  void wait(std::chrono::milliseconds time) {
    for (; time.count() > 0; time -= expiry_interval) {
      *now_ns += std::chrono::nanoseconds{expiry_interval}.count();
      pass(expiry_interval, expiry_interval);
    }
  }

  std::shared_ptr<std::int64_t> now_ns = std::make_shared<std::int64_t>(1'000'000'000);
  std::array<key_node, 3> nodes;
};

} // namespace

TEST_CASE_METHOD(key_world, "keys: a repeat is known to the new owner of its shard", "[keys]") {
  tell_all(all_to(1, 0, no_member));
  store(0, 7, 70, 1);
  // The new owner hears of it first, and waits for what the old one knows.
  tell(1, all_to(2, 1, 0));
  ask(1, 7, 2);
  ask(1, 8, 2);
  CHECK_FALSE(answer());
  CHECK(nodes[1].metrics->arriving.value() == shard_count);
  CHECK(nodes[1].metrics->parked.value() == 2);
  tell(0, all_to(2, 1, 0));
  const auto repeat = answer();
  REQUIRE(repeat);
  CHECK(repeat->state == claim_state::repeat);
  CHECK(repeat->seq == 70);
  CHECK(repeat->tag == tag_of_node(0));
  CHECK(answer()->state == claim_state::fresh);
  CHECK(asked(1, 7, 2, 99).state == claim_state::conflict);
  CHECK(nodes[1].metrics->arriving.value() == 0);
  CHECK(nodes[0].metrics->moved_away.value() == 1);
  CHECK(nodes[1].metrics->moved_here.value() == 1);
  settle(1, 8, 80);
  // And home again, where the event is.
  tell_all(all_to(3, 0, 1));
  const auto home = asked(0, 7, 3);
  CHECK(home.state == claim_state::repeat);
  CHECK(home.tag.empty());
}

TEST_CASE_METHOD(key_world, "keys: only who had the shard can say that these were all", "[keys]") {
  tell_all(all_to(1, 0, no_member));
  store(0, 7, 70, 1);
  tell(2, all_to(2, 1, 0)); // hears of it first, and has told all that it knows: nothing
  tell(1, all_to(2, 1, 0));
  ask(1, 7, 2);
  CHECK_FALSE(answer());
  SECTION("it says so") {
    tell(0, all_to(2, 1, 0));
    CHECK(answer()->state == claim_state::repeat);
  }
  SECTION("another view comes first, by which the new owner had it before") {
    for (std::size_t node : {1u, 2u})
      tell(node, all_to(3, 1, 1));
    CHECK_FALSE(answer());
    tell(0, all_to(3, 1, 1));
    CHECK(answer()->state == claim_state::repeat);
  }
}

TEST_CASE_METHOD(key_world, "keys: a first request that is under way is waited for", "[keys]") {
  tell_all(all_to(1, 0, no_member));
  REQUIRE(asked(0, 7, 1).state == claim_state::fresh);
  tell_all(all_to(2, 1, 0));
  ask(1, 7, 2);
  CHECK_FALSE(answer());
  settle(0, 7, 70);
  wait(expiry_interval);
  const auto told = answer();
  REQUIRE(told);
  CHECK(told->state == claim_state::repeat);
  CHECK(told->seq == 70);
}

TEST_CASE_METHOD(key_world, "keys: who does not own a key says so, who will waits", "[keys]") {
  tell_all(all_to(1, 0, no_member));
  const auto told = asked(1, 7, 1);
  CHECK(told.state == claim_state::failed);
  CHECK(told.status == 503);
  CHECK(told.retry_after_s == 1);
  ask(1, 7, 2); // by a view that this node has not heard of
  CHECK_FALSE(answer());
  tell_all(all_to(2, 1, 0));
  CHECK(answer()->state == claim_state::fresh);
}

TEST_CASE_METHOD(key_world, "keys: a node that was away tells what its journal knows", "[keys]") {
  // As after a start: its journal has told the index.
  nodes[2].index->insert({nth_key(5), 1, 50, 1, moves_start_ms + 1'000}, moves_start_ms + 1'000);
  tell_all(all_to(4, 1, no_member));
  const auto told = asked(1, 5, 4);
  CHECK(told.state == claim_state::repeat);
  CHECK(told.tag == tag_of_node(2));
}

TEST_CASE_METHOD(key_world, "keys: an owner that died is not waited for, but its fence is",
                 "[keys]") {
  tell_all(all_to(1, 0, no_member));
  store(0, 7, 70, 1);
  tell_all(all_to(2, 1, 0));
  // The second dies; the third, to which the view gives its shards, is not sure yet.
  unlink(2, 1), unlink(0, 1);
  for (std::size_t node : {0u, 2u})
    tell(node, heir(3, 2, 1, false));
  ask(2, 7, 3);
  CHECK_FALSE(answer());
  tell(2, heir(3, 2, 1));
  // What the first knows has come, although it was not the owner before.
  const auto told = answer();
  REQUIRE(told);
  CHECK(told->state == claim_state::repeat);
  CHECK(told->tag == tag_of_node(0));
}

TEST_CASE_METHOD(key_world, "keys: who held a dead owner's events is waited for", "[keys]") {
  tell_all(all_to(1, 0, no_member));
  store(0, 7, 70, 1);
  nodes[2].index->take_in({nth_key(7), 1, 70, 1, moves_start_ms + 1'000}, tag_of_node(0),
                          moves_start_ms + 1'000);
  unlink(1, 0), unlink(2, 0);
  tell(1, heir(2, 1, 0));
  ask(1, 7, 2);
  ask(1, 8, 2);
  CHECK_FALSE(answer());
  SECTION("it tells") {
    tell(2, heir(2, 1, 0));
    const auto told = answer();
    REQUIRE(told);
    CHECK(told->state == claim_state::repeat);
    CHECK(told->seq == 70);
    CHECK(told->tag == tag_of_node(0));
    CHECK(answer()->state == claim_state::fresh);
  }
  SECTION("it does not, for long") {
    wait(std::chrono::milliseconds{5'100});
    CHECK(answer()->state == claim_state::fresh);
    CHECK(nodes[1].metrics->moves_incomplete.value() == shard_count);
  }
}

TEST_CASE_METHOD(key_world, "keys: a new holder is told all of this node's journal", "[keys]") {
  tell_all(all_to(1, 0, no_member));
  constexpr std::uint64_t many = 2 * max_keys_a_piece + 10;
  for (std::uint64_t n = 0; n < many; ++n)
    nodes[0].index->insert({nth_key(n), 1, n + 1, 1, moves_start_ms + 1'000},
                           moves_start_ms + 1'000);
  nodes[0].index->take_in({nth_key(many), 1, 5, 1, moves_start_ms + 1'000}, "zzzzzzzz",
                          moves_start_ms + 1'000);
  caf::anon_send(nodes[0].actor, held_by{2});
  run();
  for (std::uint64_t n = 0; n < many; n += 97) {
    const auto known = nodes[2].index->find(nth_key(n), moves_start_ms + 1'000);
    REQUIRE(known);
    CHECK(known->seq == n + 1);
    CHECK(known->tag == tag_of_node(0));
  }
  CHECK(nodes[2].index->size() == many); // those of other journals come with these
  CHECK(nodes[1].index->size() == 0);
  // Shards that move come first, and nothing is lost of either.
  caf::anon_send(nodes[0].actor, held_by{1});
  tell_all(all_to(2, 2, 0));
  CHECK(nodes[1].index->size() == many);
  CHECK(nodes[2].index->size() == many + 1);
  CHECK(asked(2, 7, 2).state == claim_state::repeat);
}

TEST_CASE_METHOD(key_world, "keys: what does not come is not waited for for ever", "[keys]") {
  tell_all(all_to(1, 0, no_member));
  tell(1, all_to(2, 1, 0));
  ask(1, 7, 2);
  wait(std::chrono::milliseconds{4'900});
  CHECK_FALSE(answer());
  wait(std::chrono::milliseconds{200});
  CHECK(answer()->state == claim_state::fresh);
  CHECK(nodes[1].metrics->moves_incomplete.value() == shard_count);
}

TEST_CASE_METHOD(key_world, "keys: many go in pieces, also over a link that breaks", "[keys]") {
  tell_all(all_to(1, 0, no_member));
  constexpr std::uint64_t many = 3 * max_keys_a_piece + 10;
  for (std::uint64_t n = 0; n < many; ++n)
    nodes[0].index->insert({nth_key(n), 1, n + 1, 1, moves_start_ms + 1'000},
                           moves_start_ms + 1'000);
  unlink(0, 1);
  tell_all(all_to(2, 1, 0));
  ask(1, 7, 2);
  CHECK_FALSE(answer());
  link(0, 1);
  // The first piece is under way when the link breaks.
  for (int i = 0; i < 2; ++i)
    scheduler.run_once();
  unlink(0, 1);
  run();
  link(0, 1);
  run();
  CHECK(answer()->state == claim_state::repeat);
  for (std::uint64_t n = 0; n < many; n += 97)
    CHECK(asked(1, n, 2).seq == n + 1);
}

TEST_CASE_METHOD(key_world, "keys: nothing is decided when this node's say has run out", "[keys]") {
  tell_all(all_to(1, 0, no_member));
  *nodes[0].decides_until_ns = *now_ns;
  ask(0, 7, 1);
  ask(0, 8, 1);
  CHECK_FALSE(answer());
  SECTION("it has a say again") {
    *nodes[0].decides_until_ns = INT64_MAX;
    wait(expiry_interval);
    CHECK(answer()->state == claim_state::fresh);
    CHECK(answer()->state == claim_state::fresh);
  }
  SECTION("another one has it") {
    tell_all(all_to(2, 1, 1));
    CHECK(answer()->state == claim_state::failed);
    CHECK(answer()->state == claim_state::failed);
  }
  SECTION("it has none for too long") {
    wait(std::chrono::milliseconds{5'100});
    CHECK(answer()->status == 503);
    CHECK(answer()->status == 503);
  }
}

TEST_CASE_METHOD(key_world, "keys: a node leaves when the others have its keys", "[keys]") {
  tell_all(all_to(1, 0, no_member));
  store(0, 7, 70, 1);
  unlink(0, 1);
  run();
  bool gone = false;
  self->send(nodes[0].actor, leave_shards{});
  const auto look = [&] {
    run();
    self->receive([&](shards_gone) { gone = true; }, caf::after(std::chrono::seconds{0}) >> [] {});
    return gone;
  };
  CHECK_FALSE(look());
  tell_all(all_to(2, 1, 0));
  CHECK_FALSE(look());
  link(0, 1);
  CHECK(look());
  CHECK(asked(1, 7, 2).state == claim_state::repeat);
}

TEST_CASE_METHOD(key_world, "keys: a node that leaves waits for no copy that it began", "[keys]") {
  tell_all(all_to(1, 0, no_member));
  store(0, 7, 70, 1);
  // The new holder takes its time with what it is told.
  const auto slow = system.spawn(
      [](caf::event_based_actor*) -> caf::behavior { return {[](const key_rows&) {}}; });
  unlink(0, 2);
  caf::anon_send(nodes[0].actor, peer_up{2, {}, {stand_in(slow)}});
  caf::anon_send(nodes[0].actor, held_by{2});
  run();
  CHECK(nodes[0].metrics->moved_away.value() == 1);
  SECTION("not with its shards") {
    self->send(nodes[0].actor, leave_shards{});
    tell_all(all_to(2, 1, 0));
  }
  SECTION("nor when it is asked for later") {
    self->send(nodes[0].actor, leave_shards{});
    run();
    caf::anon_send(nodes[0].actor, held_by{2});
    tell_all(all_to(2, 1, 0));
  }
  SECTION("nor when the shards are waiting for it") {
    tell_all(all_to(2, 1, 0));
    self->send(nodes[0].actor, leave_shards{});
    run();
  }
  shards_gone gone;
  CHECK(take(self, gone));
  CHECK(asked(1, 7, 2).state == claim_state::repeat);
  caf::anon_send_exit(slow, caf::exit_reason::kill);
  run();
}

TEST_CASE_METHOD(key_world, "keys: so many requests wait, no more", "[keys]") {
  tell_all(all_to(1, 0, no_member));
  tell(1, all_to(2, 1, 0));
  for (std::uint64_t n = 0; n < max_parked_claims; ++n)
    self->send(nodes[1].actor, claim_request{n, {{0, nth_key(n), 1}}, 2});
  run();
  CHECK_FALSE(answer());
  CHECK(asked(1, 9'999, 2).status == 503);
}
