// Requests with idempotency keys: what goes on to limiter and journal, and what is told.
#include "actors/base/shards.hpp"
#include "actors/cluster/link_messages.hpp"
#include "tests/unit/net/ingest/front_end_claims_support.hpp"

using namespace penstock;

namespace {

using texts = std::vector<std::string>;

bool is_replay(http_answer& answer) {
  return answer["idempotent-replayed"] == "true";
}

} // namespace

TEST_CASE_METHOD(claims_fixture, "claims: a first request is claimed, charged, stored, settled") {
  auto client = connect();
  send(client, keyed("k", "body"));
  auto question = claimed();
  REQUIRE(question);
  REQUIRE(question->items.size() == 1);
  CHECK(nobody_asked());
  fresh(question);
  auto limits = asked(limiter_0);
  CHECK(costs(limits) == std::vector<std::uint32_t>{1});
  grant(limits);
  auto batch = appended();
  REQUIRE(batch);
  const auto& keys = batch->blocks[0]->keys;
  REQUIRE(keys.size() == 1);
  CHECK(keys[0].key == question->items[0].key);
  CHECK(keys[0].content == question->items[0].content);
  CHECK(settled().empty());
  CHECK(client.status() == 0);
  durable(batch);
  auto got = expect(client, 202);
  CHECK(id_in(got) == id(1));
  CHECK_FALSE(is_replay(got));
  auto outcomes = settled();
  REQUIRE(outcomes.size() == 1);
  CHECK(outcomes[0].record.key == keys[0].key);
  CHECK(outcomes[0].record.content == keys[0].content);
  CHECK(outcomes[0].record.seq == 1);
  CHECK(outcomes[0].record.count == 1);
  CHECK(outcomes[0].record.time_ms > 0);
}

TEST_CASE_METHOD(claims_fixture,
                 "claims: a repeat costs and stores nothing, and is told its limits") {
  auto client = connect();
  send(client, keyed("k", "body"));
  verdicts(claimed(), {.state = claim_state::repeat, .seq = 77, .count = 1});
  auto limits = asked(limiter_0);
  CHECK(costs(limits) == std::vector<std::uint32_t>{0});
  reply(limits, {granted(0)});
  auto got = expect(client, 202);
  CHECK(id_in(got) == id(77));
  CHECK(is_replay(got));
  CHECK(got["ratelimit"] == R"("l";r=7;t=30)");
  CHECK_FALSE(appended());
  CHECK(settled().empty());
}

TEST_CASE_METHOD(claims_fixture, "claims: a full stream refuses what is new, and no repeat") {
  tell(std::make_shared<const refused_streams>(refused_streams{{"default"}, false}));
  auto client = connect();
  send(client, keyed("k", "body"));
  verdicts(claimed(), {.state = claim_state::repeat, .seq = 77, .count = 1});
  reply(asked(limiter_0), {granted(0)});
  auto got = expect(client, 202);
  CHECK(id_in(got) == id(77));
  CHECK(is_replay(got));

  send(client, keyed("new", "body"));
  fresh(claimed());
  auto limits = asked(limiter_0);
  CHECK(costs(limits) == std::vector<std::uint32_t>{0});
  reply(limits, {granted(0)});
  auto full = expect(client, 507);
  CHECK(full.body.find("max_size") != std::string::npos);
  CHECK(full["retry-after"] == "10");
  CHECK_FALSE(appended());
  const auto outcomes = settled();
  REQUIRE(outcomes.size() == 1);
  CHECK(outcomes[0].status == 507);
  CHECK(shed(shed_reason::stream_full) == 1);
}

TEST_CASE_METHOD(claims_fixture, "claims: other content is 422") {
  auto client = connect();
  send(client, keyed("k", "body"));
  verdicts(claimed(), {.state = claim_state::conflict});
  reply(asked(limiter_0), {granted(0)});
  auto got = expect(client, 422);
  CHECK(got["content-type"] == "application/problem+json");
  CHECK_FALSE(appended());
}

TEST_CASE_METHOD(claims_fixture, "claims: one that the limit refuses is settled as failed") {
  auto client = connect();
  send(client, keyed("k", "body"));
  fresh(claimed());
  reply(asked(limiter_0), {refused()});
  auto got = expect(client, 429);
  CHECK(got["retry-after"] == "9");
  auto outcomes = settled();
  REQUIRE(outcomes.size() == 1);
  CHECK(outcomes[0].record.count == 0);
  CHECK(outcomes[0].status == 429);
  CHECK(outcomes[0].retry_after_s == 9);
  CHECK_FALSE(appended());
}

TEST_CASE_METHOD(claims_fixture, "claims: one that the journal can't take is settled as failed") {
  auto client = connect();
  send(client, keyed("k", "body"));
  fresh(claimed());
  grant(asked(limiter_0));
  finish(appended(), error{errc::disk_full, "no room"});
  auto got = expect(client, 507);
  CHECK(got.body.find("Nothing was stored.") != std::string::npos);
  CHECK(got.body.find("no room") == std::string::npos); // that is for the log
  CHECK_FALSE(got["retry-after"].empty());
  auto outcomes = settled();
  REQUIRE(outcomes.size() == 1);
  CHECK(outcomes[0].record.count == 0);
  CHECK(outcomes[0].status == 507);
}

TEST_CASE_METHOD(claims_fixture, "claims: one that waits is answered by the first one's outcome") {
  auto client = connect();
  send(client, keyed("k", "body"));
  auto question = claimed();
  verdicts(question, {.state = claim_state::waiting});
  reply(asked(limiter_0), {granted(0)});
  CHECK(client.status() == 0);
  SECTION("stored") {
    verdicts(question, {.state = claim_state::repeat, .seq = 5, .count = 1});
    auto got = expect(client, 202);
    CHECK(id_in(got) == id(5));
    CHECK(is_replay(got));
  }
  SECTION("failed") {
    verdicts(question, {.state = claim_state::failed, .status = 507, .retry_after_s = 10});
    CHECK(expect(client, 507)["retry-after"] == "10");
  }
  SECTION("the outcome comes before the limiter's verdict") {
    send(client, keyed("k", "body"));
    auto second = claimed();
    verdicts(second, {.state = claim_state::waiting});
    verdicts(second, {.state = claim_state::repeat, .seq = 5, .count = 1});
    verdicts(question, {.state = claim_state::repeat, .seq = 5, .count = 1});
    expect(client, 202);
    CHECK(client.status() == 0);
    reply(asked(limiter_0), {granted(0)});
    expect(client, 202);
  }
  CHECK_FALSE(appended());
}

TEST_CASE_METHOD(claims_fixture, "claims: a batch of lines has one key, and a repeat its answer") {
  auto client = connect();
  const auto fields = "Content-Type: application/x-ndjson\r\nPrefer: return=representation\r\n";
  send(client, keyed("k", "1\nx\n2\n3\n", fields));
  fresh(claimed());
  reply(asked(limiter_0), {granted(2)}); // of three
  auto batch = appended();
  REQUIRE(batch);
  CHECK(bodies(*batch->blocks[0]) == texts{"1", "2"});
  REQUIRE(batch->blocks[0]->keys.size() == 1);
  CHECK(batch->blocks[0]->keys[0].count == 2);
  durable(batch);
  auto first = expect(client, 202);
  CHECK(settled()[0].record.count == 2);
  send(client, keyed("k", "1\nx\n2\n3\n", fields));
  verdicts(claimed(), {.state = claim_state::repeat, .seq = 1, .count = 2});
  reply(asked(limiter_0), {granted(0)});
  auto again = expect(client, 202);
  CHECK(again.body == first.body);
  CHECK(is_replay(again));
}

TEST_CASE_METHOD(claims_fixture, "claims: each event of a batch by itself") {
  auto client = connect();
  send(client, cloud_batch({"0", "1", "2", "3", "4"}));
  auto first = claimed();
  REQUIRE(first);
  auto second = claimed(); // the other shard's part, if there is one
  CHECK(nobody_asked());
  claim_reply one{first->token, {}}, other{first->token, {}};
  for (auto* part : {&first, &second}) {
    if (!*part) continue;
    for (auto& item : (*part)->items) {
      claim_verdict verdict{.index = item.index, .state = claim_state::fresh};
      if (item.index == 1)
        verdict = {.index = 1, .state = claim_state::repeat, .seq = 50, .count = 1};
      if (item.index == 2) verdict = {.index = 2, .state = claim_state::conflict};
      (part == &first ? one : other).verdicts.push_back(verdict);
    }
  }
  tell(one);
  if (second) tell(other);
  auto limits = asked(limiter_0);
  CHECK(costs(limits) == std::vector<std::uint32_t>{3});
  reply(limits, {granted(2)});
  auto batch = appended();
  REQUIRE(batch);
  CHECK(batch->blocks[0]->size() == 2);
  CHECK(batch->blocks[0]->keys.size() == 2);
  CHECK(batch->blocks[0]->body(1).find("\"id\":\"3\"") != std::string::npos);
  durable(batch);
  auto got = expect(client, 202);
  CHECK_FALSE(is_replay(got));
  auto document = json_of(got);
  CHECK(document.at("accepted").as_int64() == 3);
  CHECK(document.at("rejected").as_int64() == 2);
  const auto& ids = document.at("ids").as_array();
  CHECK(ids[0].as_string() == id(1));
  CHECK(ids[1].as_string() == id(50));
  CHECK(ids[2].is_null());
  CHECK(ids[3].as_string() == id(2));
  CHECK(ids[4].is_null());
  CHECK(document.at("errors").as_array()[0].at("status").as_int64() == 422);
  CHECK(document.at("errors").as_array()[1].at("status").as_int64() == 429);
  std::size_t stored = 0, failed = 0;
  for (auto& outcome : settled())
    ++(outcome.record.count > 0 ? stored : failed);
  CHECK(stored == 2);
  CHECK(failed == 1);
}

TEST_CASE_METHOD(claims_fixture, "claims: what can't be stored claims nothing") {
  auto client = connect();
  send(client, keyed("k", "{", "Content-Type: application/json\r\n") +
                   keyed("k", "x\n", "Content-Type: application/x-ndjson\r\n") +
                   keyed("k", "\n", "Content-Type: application/x-ndjson\r\n") +
                   keyed("k", "[]", "Content-Type: application/cloudevents-batch+json\r\n"));
  CHECK_FALSE(claimed());
  while (auto limits = asked(limiter_0))
    reply(limits, std::vector<verdict>(limits->items.size(), granted(0)));
  for (unsigned status : {400u, 400u, 400u, 202u})
    expect(client, status);
  CHECK_FALSE(appended());
}

TEST_CASE_METHOD(claims_fixture, "claims: a client that is gone leaves its claim settled") {
  auto client = connect();
  send(client, keyed("k", "body"));
  fresh(claimed());
  client.close();
  turn();
  grant(asked(limiter_0));
  durable(appended());
  auto outcomes = settled();
  REQUIRE(outcomes.size() == 1);
  CHECK(outcomes[0].record.seq == 1);
}

namespace {

front_end_options keys_elsewhere() {
  front_end_options options;
  options.with_keys = true;
  options.shard_owner.assign(shard_count, 1);
  return options;
}

class remote_fixture : public front_end_fixture {
 public:
  remote_fixture() { start(keys_elsewhere()); }
  std::optional<forward_request> forwarded() {
    forward_request out;
    if (!take(peer_1, out)) return std::nullopt;
    return out;
  }
};

} // namespace

TEST_CASE_METHOD(remote_fixture, "forward: the node that owns the key stores the event") {
  tell(peer_up{1, {handle(peer_0)}, {handle(peer_1)}});
  auto client = connect();
  send(client, event(client_for(0), "body", "/v1/events/orders",
                     "Idempotency-Key: k\r\nContent-Type: text/plain\r\n"));
  auto sent = forwarded();
  REQUIRE(sent);
  CHECK(sent->stream == "orders");
  CHECK(sent->bodies == "body");
  CHECK(sent->types == std::vector<std::string>{"text/plain"});
  CHECK(sent->client == client_of(client_for(0)));
  REQUIRE(sent->claims.size() == 1);
  auto limits = asked(limiter_0);
  CHECK(costs(limits) == std::vector<std::uint32_t>{0}); // charged by the owner
  reply(limits, {granted(0)});
  CHECK_FALSE(appended());
  CHECK(client.status() == 0);
  const auto answer = [&](claim_verdict what, verdict limits_there = granted(1)) {
    tell(forward_reply{sent->token, "zzzzzzzz", {what}, limits_there});
  };
  SECTION("stored") {
    answer({0, claim_state::accepted, 9, 1, 0, 0});
    auto got = expect(client, 202);
    CHECK(id_in(got) == event_id(9, "zzzzzzzz"));
    CHECK(got["idempotent-replayed"].empty());
  }
  SECTION("known") {
    answer({0, claim_state::repeat, 9, 1, 0, 0});
    CHECK(expect(client, 202)["idempotent-replayed"] == "true");
  }
  SECTION("refused there") {
    answer({0, claim_state::failed, 0, 0, 429, 9}, refused());
    CHECK(expect(client, 429)["retry-after"] == "9");
  }
  SECTION("nonsense") {
    answer({0, claim_state::asked, 0, 0, 0, 0});
    expect(client, 503);
  }
  SECTION("the node goes") {
    tell(peer_down{1});
    CHECK_FALSE(expect(client, 503)["retry-after"].empty());
    answer({0, claim_state::accepted, 9, 1, 0, 0}); // too late, and harmless
    CHECK(client.status() == 0);
  }
}

TEST_CASE_METHOD(remote_fixture, "forward: an owner out of reach is 503, and nothing is stored") {
  auto client = connect();
  send(client, event(client_for(0), "body", "/v1/events", "Idempotency-Key: k\r\n"));
  reply(asked(limiter_0), {granted(0)});
  CHECK_FALSE(expect(client, 503)["retry-after"].empty());
  CHECK_FALSE(appended());
}

TEST_CASE_METHOD(claims_fixture, "forward: a peer's events take the path of our own") {
  forward_request request{5,
                          client_of(client_for(0)),
                          0,
                          plan_id("anonymous"),
                          all_limits,
                          "orders",
                          {{3, 1, 1, 2, 30}, {8, 1, 3, 4, 80}},
                          {1, 3},
                          {"a/b"},
                          {"", R"({"x":"y"})"},
                          "abb"};
  peer_0->send(front_end, request);
  turn();
  for (int part = 0; part < 2; ++part)
    if (auto question = claimed()) fresh(question);
  auto limits = asked(limiter_0);
  CHECK(costs(limits) == std::vector<std::uint32_t>{2});
  reply(limits, {granted(1)});
  auto batch = appended();
  REQUIRE(batch);
  CHECK(batch->blocks[0]->stream == "orders");
  CHECK(bodies(*batch->blocks[0]) == texts{"a"});
  durable(batch);
  forward_reply got;
  REQUIRE(take(peer_0, got));
  CHECK(got.token == 5);
  CHECK(got.tag == node.tag);
  REQUIRE(got.verdicts.size() == 2);
  CHECK(got.verdicts[0].index == 3);
  CHECK(got.verdicts[0].state == claim_state::accepted);
  CHECK(got.verdicts[0].seq == 1);
  CHECK(got.verdicts[1].index == 8);
  CHECK(got.verdicts[1].state == claim_state::failed);
  CHECK(got.verdicts[1].status == 429);
}

TEST_CASE_METHOD(claims_fixture,
                 "forward: what does not fit together, or can't be taken, is refused") {
  const forward_request good{
      5,       7,    0,    plan_id("anonymous"), all_limits, "orders", {{0, 1, 1, 2, 30}}, {3},
      {"a/b"}, {""}, "abc"};
  const auto refusal_of = [&](forward_request request) -> unsigned {
    peer_0->send(front_end, std::move(request));
    turn();
    forward_reply got;
    if (!take(peer_0, got)) return 0;
    for (auto& verdict : got.verdicts)
      CHECK(verdict.state == claim_state::failed);
    return got.verdicts.empty() ? 1 : got.verdicts[0].status;
  };
  auto bad = good;
  bad.ends = {4};
  CHECK(refusal_of(bad) == 503);
  bad = good;
  bad.claims[0].count = 2;
  CHECK(refusal_of(bad) == 503);
  bad = good;
  bad.stream = "a/b";
  CHECK(refusal_of(bad) == 503);
  bad = good;
  bad.types = {};
  CHECK(refusal_of(bad) == 503);
  node.journal_full = true;
  CHECK(refusal_of(good) == 507);
  node.journal_full = false;
  CHECK_FALSE(claimed());
  CHECK(refusal_of(good) == 0);
  CHECK(claimed());
}

TEST_CASE_METHOD(front_end_fixture,
                 "forward: bodies that are still arriving leave a peer no room") {
  front_end_options options;
  options.with_keys = true;
  options.http.max_in_flight_bytes = 8'000;
  start(options);
  auto client = connect();
  const auto text = event(client_for(0), std::string(7'900, 'a'));
  send(client, text.substr(0, text.size() - 10)); // nothing of it is a request yet
  const forward_request request{
      5,     7,       0,    plan_id("anonymous"), all_limits, "orders", {{0, 1, 1, 2, 30}},
      {500}, {"a/b"}, {""}, std::string(500, 'b')};
  peer_0->send(front_end, request);
  turn();
  forward_reply got;
  REQUIRE(take(peer_0, got));
  REQUIRE(got.verdicts.size() == 1);
  CHECK(got.verdicts[0].status == 503);
  CHECK(shed(shed_reason::in_flight) == 1);
  client.close();
  turn();
  peer_0->send(front_end, request);
  turn();
  CHECK_FALSE(take(peer_0, got)); // it is under way
  CHECK(shed(shed_reason::in_flight) == 1);
}

TEST_CASE_METHOD(claims_fixture,
                 "claims: of many keys that are refused the first hundred are told") {
  auto client = connect();
  std::string body;
  for (int i = 0; i < 150; ++i)
    body += (i == 0 ? "[" : ",") +
            (R"({"specversion":"1.0","type":"t","source":"s","id":")" + std::to_string(i) + "\"}");
  send(client, event(client_for(0), body + "]", "/v1/events",
                     "Content-Type: application/cloudevents-batch+json\r\n"));
  while (const auto question = claimed())
    verdicts(question, {.state = claim_state::conflict});
  grant(asked(limiter_0));
  const auto document = json_of(expect(client, 422));
  CHECK(document.at("rejected").as_int64() == 150);
  CHECK(document.at("errors").as_array().size() == max_batch_errors);
  CHECK(document.at("errors_omitted").as_int64() == 50);
}
