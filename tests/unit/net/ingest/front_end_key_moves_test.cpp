// Idempotency keys whose shard has another owner than who asks thinks.
#include "actors/base/shards.hpp"
#include "actors/cluster/link_messages.hpp"
#include "net/http/front_end_metrics.hpp"
#include "tests/unit/net/ingest/front_end_support.hpp"

using namespace penstock;

namespace {

class moving_fixture : public front_end_fixture {
 public:
  moving_fixture() {
    front_end_options options;
    options.with_keys = true;
    start(std::move(options));
    tell(peer_up{1, {}, {handle(peer_0)}});
    tell(peer_up{2, {}, {handle(peer_1)}});
  }
  void place(std::uint64_t epoch, std::uint16_t owner) {
    placement to;
    to.epoch = epoch;
    to.members = {"a:1", "b:1", "c:1"};
    for (auto& shard : to.shards)
      shard = {.owner = owner};
    tell(placement_changed{std::make_shared<const placement>(to)});
  }
  // A request whose key belongs to a node that is not linked.
  test_client send_to_unlinked(std::uint64_t epoch) {
    tell(peer_down{1});
    place(epoch, 1);
    auto client = connect();
    send(client, event(client_for(0), "body", "/v1/events", "Idempotency-Key: k\r\n"));
    // Nothing of it is for this node's journal.
    reply(asked(limiter_0), {granted(0)});
    return client;
  }
  forward_request forwarded(std::uint64_t epoch) {
    forward_request request{5,
                            client_of("c"),
                            0,
                            plan_id("anonymous"),
                            all_limits,
                            "orders",
                            {{0, 1, 1, 2, 30}},
                            {3},
                            {"a/b"},
                            {""},
                            "abc"};
    request.epoch = epoch;
    return request;
  }
  std::optional<forward_request> forwarded_to(caf::scoped_actor& peer) {
    forward_request out;
    if (!take(peer, out)) return std::nullopt;
    return out;
  }
  std::optional<claim_request> claimed() {
    claim_request out;
    if (take(index_0, out) || take(index_1, out)) return out;
    return std::nullopt;
  }
};

} // namespace

TEST_CASE_METHOD(moving_fixture, "key moves: who asks by an older view is passed on to the owner") {
  place(7, 2);
  peer_0->send(front_end, forwarded(6));
  turn();
  CHECK_FALSE(claimed());
  caf::actor asker;
  forward_request got;
  bool passed_on = false;
  peer_1->receive(
      [&](forward_request& request) {
        got = std::move(request);
        asker = caf::actor_cast<caf::actor>(peer_1->current_sender());
        passed_on = true;
      },
      caf::after(std::chrono::seconds{0}) >> [] {});
  REQUIRE(passed_on);
  CHECK(asker == caf::actor_cast<caf::actor>(peer_0)); // it is answered by the owner itself
  CHECK(got.epoch == 7);
  CHECK(got.hops == 1);
  CHECK(got.bodies == "abc");
}

TEST_CASE_METHOD(moving_fixture, "key moves: who asks by a later view is believed") {
  place(7, 2);
  peer_0->send(front_end, forwarded(8));
  turn();
  CHECK_FALSE(forwarded_to(peer_1));
  auto question = claimed();
  REQUIRE(question);
  CHECK(question->epoch == 8); // the index waits for that view
}

TEST_CASE_METHOD(moving_fixture, "key moves: nothing goes round for ever") {
  place(7, 2);
  auto request = forwarded(6);
  request.hops = max_forward_hops;
  peer_0->send(front_end, request);
  turn();
  CHECK_FALSE(forwarded_to(peer_1));
  auto question = claimed();
  REQUIRE(question);
  CHECK(question->epoch == 6); // which the index does not own any more, and says so
}

TEST_CASE_METHOD(moving_fixture, "key moves: keys of several owners are not passed on") {
  placement to;
  to.epoch = 7;
  to.members = {"a:1", "b:1", "c:1"};
  for (std::uint32_t shard = 0; shard < shard_count; ++shard)
    to.shards[shard] = {.owner = static_cast<std::uint16_t>(1 + shard % 2)};
  tell(placement_changed{std::make_shared<const placement>(to)});
  auto request = forwarded(6);
  request.claims = {{0, 1, 0, 2, 30}, {1, 1, std::uint64_t{1} << 56, 2, 30}};
  request.ends = {1, 3};
  peer_0->send(front_end, request);
  turn();
  CHECK_FALSE(forwarded_to(peer_1));
}

TEST_CASE_METHOD(moving_fixture, "key moves: a repeat has the id that the storing node gave") {
  place(7, 0);
  auto client = connect();
  send(client, event(client_for(0), "body", "/v1/events", "Idempotency-Key: k\r\n"));
  auto question = claimed();
  REQUIRE(question);
  CHECK(question->epoch == 7);
  claim_verdict known;
  known.state = claim_state::repeat;
  known.seq = 9;
  known.count = 1;
  known.tag = "zzzzzzzz";
  tell(claim_reply{question->token, {known}});
  reply(asked(limiter_0), {granted(0)});
  auto got = expect(client, 202);
  CHECK(got["idempotent-replayed"] == "true");
  CHECK(id_in(got) == event_id(9, "zzzzzzzz"));
}

TEST_CASE_METHOD(moving_fixture, "key moves: a peer's keys go to the index of their shards") {
  key_rows rows;
  rows.token = 3;
  rows.complete = {1};
  peer_0->send(front_end, rows);
  turn();
  key_rows got;
  REQUIRE(take(index_1, got));
  CHECK(got.token == 3);
  rows.complete = {0};
  rows.keys = {{.high = std::uint64_t{2} << 56, .low = 1}};
  peer_0->send(front_end, rows);
  turn();
  REQUIRE(take(index_0, got));
  CHECK(got.keys.size() == 1);
  // One without either would never be answered.
  peer_0->send(front_end, key_rows{});
  turn();
  keys_taken taken;
  CHECK(take(peer_0, taken));
}

TEST_CASE_METHOD(moving_fixture, "key moves: an owner that is not linked yet is waited for") {
  auto client = send_to_unlinked(7);
  CHECK_FALSE(forwarded_to(peer_0));
  pass(400 * ms);
  tell(peer_up{2, {}, {handle(peer_1)}}); // another
  CHECK_FALSE(forwarded_to(peer_1));
  tell(peer_up{1, {}, {handle(peer_0)}});
  const auto sent = forwarded_to(peer_0);
  REQUIRE(sent);
  CHECK(sent->bodies == "body");
  tell(forward_reply{sent->token, "zzzzzzzz", {{0, claim_state::accepted, 9, 1, 0, 0}}, {}});
  CHECK(id_in(expect(client, 202)) == event_id(9, "zzzzzzzz"));
  pass(600 * ms);
  CHECK(shed(shed_reason::unreachable) == 0);
}

TEST_CASE_METHOD(moving_fixture,
                 "key moves: an owner that never links is not waited for for long") {
  auto client = send_to_unlinked(7);
  pass(400 * ms);
  pass(200 * ms);
  CHECK(expect(client, 503)["retry-after"] == "1");
  CHECK(shed(shed_reason::unreachable) == 1);
  tell(peer_up{1, {}, {handle(peer_0)}});
  CHECK_FALSE(forwarded_to(peer_0)); // the client was told that nothing is stored
}

TEST_CASE_METHOD(moving_fixture, "key moves: in a fixed list nobody is waited for") {
  auto client = send_to_unlinked(0);
  expect(client, 503);
  CHECK(shed(shed_reason::unreachable) == 1);
}
