// ack = "published" for requests with idempotency keys, here and at another node.
#include "actors/base/lifecycle_messages.hpp"
#include "actors/base/shards.hpp"
#include "actors/base/unpublished.hpp"
#include "actors/cluster/link_messages.hpp"
#include "tests/unit/net/ingest/front_end_published_support.hpp"

using namespace penstock;
using namespace std::chrono_literals;

namespace {

class published_claims : public published_fixture {
 public:
  published_claims() { options.with_keys = true; }

  void verdicts(claim_verdict what) {
    claim_request question;
    REQUIRE((take(index_0, question) || take(index_1, question)));
    claim_reply reply{question.token, {}};
    for (auto& item : question.items) {
      what.index = item.index;
      reply.verdicts.push_back(what);
    }
    tell(reply);
  }
  void grant_and_store() {
    grant(asked(limiter_0));
    durable(appended());
  }
};

constexpr std::string_view with_key = "Idempotency-Key: k\r\n";

} // namespace

TEST_CASE_METHOD(published_claims, "published: a request with a key waits as any other") {
  start(options);
  auto client = connect();
  send(client, to("strict", "body", with_key));
  verdicts({.state = claim_state::fresh});
  grant_and_store();
  CHECK(client.status() == 0);
  SECTION("confirmed") {
    settle(awaited(bus));
    CHECK(expect(client, 202).body == R"({"id":")" + id(1) + "\"}");
  }
  SECTION("late") {
    pass(1'000 * ms);
    auto got = expect(client, 503);
    CHECK(text(got, "id") == id(1));
    CHECK(text(got, "detail").find("same key") != std::string::npos);
  }
  SECTION("a repeat is told what is known") {
    auto second = connect();
    send(second, to("strict", "body", with_key));
    verdicts({.state = claim_state::repeat, .seq = 1, .count = 1});
    reply(asked(limiter_0), {granted(0)});
    auto got = expect(second, 202);
    CHECK(got["idempotent-replayed"] == "true");
    CHECK(got.body == R"({"id":")" + id(1) + R"(","ack":"journaled"})");
    CHECK(unconfirmed(unpublished::earlier) == 1);
  }
}

TEST_CASE_METHOD(published_claims, "published: CloudEvents, some of them known") {
  start(options);
  auto client = connect();
  const auto batch = [&](std::string_view first, std::string_view second) {
    const auto one = [](std::string_view id) {
      return R"({"specversion":"1.0","type":"t","source":"s","id":")" + std::string{id} + "\"}";
    };
    return to("strict", "[" + one(first) + "," + one(second) + "]",
              "Content-Type: application/cloudevents-batch+json\r\n");
  };
  send(client, batch("a", "b"));
  claim_request question;
  while (take(index_0, question) || take(index_1, question)) {
    claim_reply reply{question.token, {}};
    for (auto& item : question.items)
      reply.verdicts.push_back(
          item.index == 0
              ? claim_verdict{.index = 0, .state = claim_state::repeat, .seq = 77, .count = 1}
              : claim_verdict{.index = item.index, .state = claim_state::fresh});
    tell(reply);
  }
  grant_and_store();
  auto waits = awaited(bus);
  REQUIRE(waits);
  CHECK(waits->items[0].first_seq == 1);
  CHECK(waits->items[0].last_seq == 1);
  SECTION("confirmed: no more than what is known of the repeat") {
    settle(waits);
    auto got = expect(client, 202);
    CHECK(text(got, "ack") == "journaled");
    CHECK(text(got, "last_id") == id(1));
  }
  SECTION("late") {
    pass(1'000 * ms);
    CHECK(text(expect(client, 503), "first_id") == id(77));
  }
}

TEST_CASE_METHOD(published_claims, "published: the node that owns a key says whether it waited") {
  options.shard_owner.assign(shard_count, 1);
  start(options);
  tell(peer_up{1, {handle(peer_0)}, {handle(peer_1)}});
  auto client = connect();
  send(client, to("strict", "body", with_key));
  forward_request sent;
  REQUIRE(take(peer_1, sent));
  reply(asked(limiter_0), {granted(0)});
  const auto answer = [&](unpublished shortfall) {
    tell(forward_reply{sent.token,
                       "zzzzzzzz",
                       {{0, claim_state::accepted, 9, 1, 0, 0}},
                       granted(1),
                       static_cast<std::uint8_t>(shortfall)});
  };
  SECTION("it did") {
    answer(unpublished::no);
    CHECK(id_in(expect(client, 202)) == event_id(9, "zzzzzzzz"));
  }
  SECTION("in vain") {
    answer(unpublished::dead_letter);
    auto got = expect(client, 503);
    CHECK(text(got, "id") == event_id(9, "zzzzzzzz"));
    CHECK(text(got, "detail").find("dead letter") != std::string::npos);
  }
  SECTION("nonsense") {
    answer(static_cast<unpublished>(99));
    expect(client, 503);
  }
  SECTION("it may take as much longer as the sinks may") {
    pass(10'500 * ms);
    CHECK(client.status() == 0);
    pass(600 * ms);
    expect(client, 503);
  }
  CHECK_FALSE(awaited(bus)); // that is the other node's
}

TEST_CASE_METHOD(published_claims, "published: events of a peer wait here") {
  start(options);
  caf::scoped_actor peer{system};
  forward_request request;
  request.token = 5;
  request.client = client_of(client_for(0));
  request.plan = plan_id("anonymous");
  request.stream = "strict";
  request.claims = {{0, 1, 1, 2, 3}};
  request.ends = {4};
  request.types = {"text/plain"};
  request.attributes = {""};
  request.bodies = "body";
  const auto answered = [&] {
    forward_reply got;
    return take(peer, got) ? std::optional{got} : std::nullopt;
  };
  peer->send(front_end, request);
  turn();
  verdicts({.state = claim_state::fresh});
  grant_and_store();
  CHECK_FALSE(answered());
  SECTION("confirmed") {
    settle(awaited(bus));
    auto got = answered();
    REQUIRE(got);
    CHECK(got->shortfall == 0);
    CHECK(got->verdicts[0].state == claim_state::accepted);
  }
  SECTION("late") {
    pass(1'000 * ms);
    auto got = answered();
    REQUIRE(got);
    CHECK(got->shortfall == static_cast<std::uint8_t>(unpublished::late));
    CHECK(got->verdicts[0].state == claim_state::accepted);
  }
  SECTION("a drain here does not wait") {
    composer->send(front_end, drain{});
    turn();
    auto got = answered();
    REQUIRE(got);
    CHECK(got->shortfall == static_cast<std::uint8_t>(unpublished::draining));
  }
}
