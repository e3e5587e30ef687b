// Clients whose limiter is on another node, and what becomes of them when it can't be reached.
#include "tests/unit/net/front_end_support.hpp"

using namespace penstock;

namespace {

/// All shards belong to member 1; we are member 0.
front_end_options all_elsewhere(unreachable_policy policy = unreachable_policy::local) {
  front_end_options options;
  options.shard_owner.assign(shard_count, 1);
  options.on_unreachable = policy;
  return options;
}

} // namespace

TEST_CASE_METHOD(front_end_fixture, "cluster: shards are spread over the owner's limiters") {
  auto options = all_elsewhere();
  start(options);
  tell(peer_up{1, {handle(peer_0), handle(peer_1)}});
  auto client = connect();
  send(client, event(client_for(0), "a") + event(client_for(1), "b") + event(client_for(0), "c"));
  auto first = asked(peer_0), second = asked(peer_1);
  CHECK(costs(first).size() == 2);
  CHECK(costs(second).size() == 1);
  CHECK(nobody_asked());
  CHECK(metrics.limiter_messages.value() == 0); // those of this node alone are counted
  grant(second);
  reply(first, {granted(1), refused()});
  auto b = appended(), a = appended();
  REQUIRE((a && b));
  CHECK(bodies(*b->blocks[0]) == std::vector<std::string>{"b"});
  CHECK(bodies(*a->blocks[0]) == std::vector<std::string>{"a"});
  CHECK(b->first_ticket == 1); // tickets follow the verdicts
  CHECK(a->first_ticket == 2);
  durable(b);
  durable(a);
  CHECK(id_in(expect(client, 202)) == id(2));
  CHECK(id_in(expect(client, 202)) == id(1));
  expect(client, 429);
}

TEST_CASE_METHOD(front_end_fixture, "cluster: only the owner of a shard is asked") {
  auto options = all_elsewhere();
  for (std::uint32_t shard = 0; shard < shard_count; shard += 2)
    options.shard_owner[shard] = 0;
  start(options);
  tell(peer_up{1, {handle(peer_0)}});
  auto client = connect();
  send(client, event(client_for(0), "mine") + event(client_for(1), "theirs"));
  CHECK(costs(asked(limiter_0)).size() == 1);
  CHECK(costs(asked(peer_0)).size() == 1);
  CHECK(nobody_asked());
}

TEST_CASE_METHOD(front_end_fixture, "cluster: an owner not seen yet: local decides here") {
  start(all_elsewhere());
  auto client = connect();
  send(client, event(client_for(0), "a") + event(client_for(1), "b"));
  auto question = asked(limiter_0); // one limiter for the clients of all absent peers
  CHECK(costs(question).size() == 2);
  CHECK(nobody_asked());
  CHECK(metrics.fallback_local.value() == 2);
  CHECK(metrics.fallback_refused.value() == 0);
  reply(question, {granted(1), refused()});
  durable(appended());
  expect(client, 202);
  expect(client, 429);
}

TEST_CASE_METHOD(front_end_fixture, "cluster: an owner not seen yet: refuse answers 503 at once") {
  start(all_elsewhere(unreachable_policy::refuse));
  auto client = connect();
  send(client, event(client_for(0), "a") + ndjson(client_for(1), "1\n2\n"));
  for (int i = 0; i < 2; ++i) {
    auto got = expect(client, 503);
    CHECK(got["retry-after"] == "1");
    CHECK(json_of(got).at("type").as_string() ==
          "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity");
    CHECK_FALSE(got.fields.contains("ratelimit"));
  }
  CHECK(nobody_asked());
  CHECK_FALSE(appended());
  CHECK(metrics.fallback_refused.value() == 2);
  CHECK(shed(shed_reason::unreachable) == 2);
  CHECK(metrics.in_flight_bytes.value() == 0);
}

TEST_CASE_METHOD(front_end_fixture, "cluster: a peer that goes down is no longer waited for") {
  start(all_elsewhere());
  tell(peer_up{1, {handle(peer_0)}});
  auto client = connect();
  send(client, event(client_for(0), "a"));
  auto late = asked(peer_0);
  REQUIRE(late);
  tell(peer_down{2}); // another one
  CHECK(nobody_asked());
  tell(peer_down{1});
  auto question = asked(limiter_0);
  REQUIRE(question);
  grant(late); // its own answer comes after all
  CHECK_FALSE(appended());
  reply(question, {refused()});
  expect(client, 429);
  CHECK(client.read().empty());
  send(client, event(client_for(0), "b"));
  CHECK_FALSE(asked(peer_0));
  grant(asked(limiter_0));
  durable(appended());
  expect(client, 202);
  // It comes back, with fewer limiters and then with more than it had.
  tell(peer_up{1, {handle(peer_1)}});
  send(client, event(client_for(0), "c") + event(client_for(1), "d"));
  CHECK(costs(asked(peer_1)).size() == 2);
  tell(peer_down{1});
  CHECK(costs(asked(limiter_0)).size() == 2);
  tell(peer_up{1, {handle(peer_0), handle(peer_1)}});
  send(client, event(client_for(0), "e") + event(client_for(1), "f"));
  CHECK(costs(asked(peer_0)).size() == 1);
  CHECK(costs(asked(peer_1)).size() == 1);
  tell(peer_up{1, {}}); // says nothing new
  send(client, event(client_for(0), "g"));
  CHECK(asked(peer_0));
}

TEST_CASE_METHOD(front_end_fixture, "cluster: a verdict that is late counts as none") {
  start(all_elsewhere());
  tell(peer_up{1, {handle(peer_0)}});
  auto client = connect();
  send(client, event(client_for(0), "a"));
  auto late = asked(peer_0);
  REQUIRE(late);
  pass(500 * ms);
  CHECK(nobody_asked());
  pass(event_loop::tick_ms * ms);
  auto question = asked(limiter_0);
  REQUIRE(question);
  CHECK(question->token != late->token);
  CHECK(metrics.fallback_local.value() == 1);
  reply(late, {refused()});
  CHECK(client.read().empty());
  pass(1'000'000 * ms); // one's own limiter is never late
  CHECK(nobody_asked());
  grant(question);
  durable(appended());
  expect(client, 202);
  CHECK(client.read().empty());
}

TEST_CASE_METHOD(front_end_fixture, "cluster: a late verdict is refused where that is configured") {
  start(all_elsewhere(unreachable_policy::refuse));
  tell(peer_up{1, {handle(peer_0)}});
  auto client = connect();
  send(client, event(client_for(0), "a") +
                   event(client_for(0), "{", "/v1/events", "Content-Type: text/json\r\n"));
  pass(501 * ms);
  CHECK(metrics.fallback_refused.value() == 2);
  expect(client, 503);
  client.answer();
  CHECK_FALSE(appended());
  CHECK(metrics.in_flight_bytes.value() == 0);
}
