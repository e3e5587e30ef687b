// Streams with ack = "published": who is asked, what is waited for, and what is told after all.
#include "tests/unit/net/front_end_support.hpp"

using namespace penstock;
using namespace std::chrono_literals;

namespace {

stream_settings published_to(std::vector<std::string> sinks,
                             unpublished_policy policy = unpublished_policy::accept) {
  stream_settings out;
  out.ack = ack_level::published;
  out.sinks = std::move(sinks);
  out.publish_timeout_ms = 1s;
  out.on_publish_timeout = policy;
  return out;
}

class published_fixture : public front_end_fixture {
 public:
  front_end_options options;
  caf::scoped_actor composer{system};

  published_fixture() {
    options.streams["default"] = published_to({"queue", "bus", "log"});
    options.streams["strict"] = published_to({"bus"}, unpublished_policy::refuse);
    options.streams["queued"] = published_to({"queue"});
    options.streams["plain"] = {};
  }

  /// The next question to a publisher.
  static await_published_ptr awaited(caf::scoped_actor& publisher) {
    await_published_ptr out;
    take(publisher, out);
    return out;
  }
  /// A publisher's word on all items of a question.
  void settle(const await_published_ptr& question, bool published = true) {
    REQUIRE(question);
    published_news news;
    for (auto& item : question->items)
      news.items.push_back({item.token, published});
    tell(news);
  }
  /// Sends a request of client_for(0), and has it on the disk.
  void store(test_client& client, const std::string& request) {
    send(client, request);
    grant(asked(limiter_0));
    durable(appended());
  }
  static std::string to(std::string_view stream, std::string_view body = "body",
                        std::string_view fields = "") {
    return event(client_for(0), body, "/v1/events/" + std::string{stream}, fields);
  }
  std::uint64_t unconfirmed(unpublished why) {
    return metrics.unpublished_answers[static_cast<std::size_t>(why)].value();
  }
  std::string text(const http_answer& answer, const char* member) {
    return std::string{json_of(answer).at(member).as_string()};
  }
};

} // namespace

TEST_CASE_METHOD(published_fixture, "published: answered when every sink has the events") {
  start(options);
  auto client = connect();
  store(client, event(client_for(0), "body"));
  CHECK(client.status() == 0);
  auto bus_question = awaited(bus), log_question = awaited(log);
  REQUIRE((bus_question && log_question));
  CHECK(bus_question->stream == "default");
  CHECK(bus_question->front_end == front_end);
  CHECK(bus_question->timeout_ms == 1s);
  REQUIRE(bus_question->items.size() == 1);
  CHECK(bus_question->items[0].client == client_of(client_for(0)));
  CHECK(bus_question->items[0].first_seq == 1);
  CHECK(bus_question->items[0].last_seq == 1);
  CHECK(metrics.publish_waits.value() == 1);
  settle(bus_question);
  CHECK(client.status() == 0);
  settle(log_question);
  auto got = expect(client, 202);
  CHECK(got.body == R"({"id":")" + id(1) + "\"}");
  CHECK(got["ratelimit"] == R"("l";r=7;t=30)");
  CHECK(metrics.published.value() == 1);
  CHECK(metrics.publish_waits.value() == 0);
  CHECK(metrics.in_flight_bytes.value() == 0);
  pass(2'000 * ms);
  CHECK(client.read().empty());
}

TEST_CASE_METHOD(published_fixture, "published: one question a turn, stream and sink") {
  start(options);
  std::vector<test_client> clients;
  for (int i = 0; i < 3; ++i)
    clients.push_back(connect());
  clients[0].send(to("default", "1") + to("strict", "2") + to("plain", "3"));
  clients[1].send(to("default", "4"));
  clients[2].send(ndjson(client_for(0), "5\n6\n"));
  turn();
  grant(asked(limiter_0));
  durable(appended());
  auto first = awaited(bus), second = awaited(bus);
  REQUIRE((first && second));
  CHECK_FALSE(awaited(bus));
  if (first->stream != "default") std::swap(first, second);
  CHECK(first->stream == "default");
  CHECK(second->stream == "strict");
  REQUIRE(first->items.size() == 3);
  CHECK(first->items[0].first_seq == 1);
  CHECK(first->items[2].first_seq == 3);
  CHECK(first->items[2].last_seq == 4);
  CHECK(awaited(log));
  CHECK_FALSE(awaited(log));
  settle(second);
  CHECK(clients[0].status() == 0); // answers come in the order of the requests
  settle(first);
  settle(first); // as the other sink does
  for (auto seq : {1u, 5u, 6u})
    CHECK(id_in(expect(clients[0], 202)) == id(seq));
  CHECK(id_in(expect(clients[1], 202)) == id(2));
  CHECK(text(expect(clients[2], 202), "last_id") == id(4));
}

TEST_CASE_METHOD(published_fixture,
                 "published: the embedded queue has what is durable; others are not kept waiting") {
  start(options);
  auto client = connect();
  store(client, to("queued") + to("plain"));
  expect(client, 202);
  expect(client, 202);
  CHECK_FALSE(awaited(bus));
  CHECK(metrics.publish_waits.value() == 0);
}

TEST_CASE_METHOD(published_fixture, "published: after the deadline what is true, 202 or 503") {
  start(options);
  auto patient = connect(), strict = connect();
  store(patient, event(client_for(0), "body"));
  store(strict, to("strict"));
  auto question = awaited(bus);
  settle(question);
  pass(999 * ms);
  CHECK(patient.status() == 0);
  pass(1 * ms);
  CHECK(expect(patient, 202).body == R"({"id":")" + id(1) + R"(","ack":"journaled"})");
  auto got = expect(strict, 503);
  CHECK(text(got, "id") == id(2));
  CHECK(text(got, "ack") == "journaled");
  CHECK(got["retry-after"] == "10");
  CHECK(got["content-type"] == "application/problem+json");
  CHECK(text(got, "detail").find("stored") != std::string::npos);
  CHECK(text(got, "detail").find("Idempotency-Key") != std::string::npos);
  CHECK(unconfirmed(unpublished::late) == 2);
  settle(awaited(bus)); // too late
  settle(awaited(log));
  CHECK(patient.read().empty());
  CHECK(strict.read().empty());
  CHECK(metrics.published.value() == 0);
}

TEST_CASE_METHOD(published_fixture, "published: a dead letter is told at once") {
  start(options);
  auto client = connect(), strict = connect();
  store(client, event(client_for(0), "body"));
  store(strict, to("strict"));
  settle(awaited(log), false);
  CHECK(text(expect(client, 202), "ack") == "journaled");
  settle(awaited(bus)); // of the one that is answered
  settle(awaited(bus), false);
  auto got = expect(strict, 503);
  CHECK(text(got, "detail").find("dead letter") != std::string::npos);
  CHECK(text(got, "id") == id(2));
  CHECK(unconfirmed(unpublished::dead_letter) == 2);
}

TEST_CASE_METHOD(published_fixture, "published: a batch tells its errors whatever became of it") {
  start(options);
  auto client = connect();
  const std::string fields = "Content-Type: application/x-ndjson\r\n";
  store(client, to("strict", "1\nbad\n2\n", fields));
  store(client, to("strict", "3\nbad\n4\n", fields + "Prefer: return=representation\r\n"));
  auto first = awaited(bus);
  REQUIRE(first);
  CHECK(first->items[0].last_seq == 2);
  settle(first);
  auto good = expect(client, 202);
  CHECK(text(good, "last_id") == id(2));
  CHECK(json_of(good).at("errors").as_array().size() == 1);
  CHECK_FALSE(json_of(good).as_object().contains("ack"));
  pass(1'000 * ms);
  auto late = expect(client, 503);
  CHECK(text(late, "first_id") == id(3));
  CHECK(text(late, "ack") == "journaled");
  CHECK(json_of(late).at("ids").as_array()[1].is_null());
  CHECK(json_of(late).at("errors").as_array().size() == 1);
}

TEST_CASE_METHOD(published_fixture, "published: bodies are let go of, and what waits is counted") {
  options.max_publish_waits = 2;
  start(options);
  auto client = connect();
  store(client, to("strict", std::string(50'000, 'x')));
  const auto held = metrics.in_flight_bytes.value();
  CHECK(held > 0);
  CHECK(held < 5'000);
  store(client, to("strict"));
  CHECK(metrics.in_flight_bytes.value() == 2 * held);
  auto third = connect();
  store(third, to("strict"));
  auto got = expect(third, 503);
  CHECK(text(got, "id") == id(3));
  CHECK(unconfirmed(unpublished::too_many) == 1);
  settle(awaited(bus));
  settle(awaited(bus));
  CHECK_FALSE(awaited(bus));
  expect(client, 202);
  expect(client, 202);
  CHECK(metrics.in_flight_bytes.value() == 0);
}

TEST_CASE_METHOD(published_fixture, "published: who has gone is not answered") {
  start(options);
  auto client = connect();
  send(client, to("strict"));
  client.close();
  turn();
  grant(asked(limiter_0));
  durable(appended());
  CHECK_FALSE(awaited(bus));
  auto second = connect();
  store(second, to("strict"));
  second.close();
  turn();
  auto third = connect(); // on the session that was the second's
  settle(awaited(bus));
  CHECK(third.read().empty());
  CHECK(metrics.publish_waits.value() == 0);
}

TEST_CASE_METHOD(published_fixture, "published: nothing is waited for when nothing was stored") {
  start(options);
  auto client = connect();
  send(client, to("strict"));
  grant(asked(limiter_0));
  finish(appended(), error{errc::disk_full, "no room"});
  expect(client, 507);
  CHECK_FALSE(awaited(bus));
  send(client, to("strict"));
  reply(asked(limiter_0), {refused()});
  expect(client, 429);
}

TEST_CASE_METHOD(published_fixture,
                 "published: a drain waits for sinks until shortly before its end") {
  options.drain_timeout_ms = 800ms;
  options.streams["default"].publish_timeout_ms = 10min;
  start(options);
  auto first = connect(), second = connect(), strict = connect();
  store(first, event(client_for(0), "1"));
  store(second, event(client_for(0), "2"));
  store(strict, to("strict"));
  composer->send(front_end, drain{});
  turn();
  drained done;
  auto question = awaited(bus);
  settle(question);
  settle(awaited(log));
  expect(first, 202);
  CHECK_FALSE(take(composer, done));
  pass(399 * ms);
  CHECK(second.status() == 0);
  pass(1 * ms);
  CHECK(text(expect(second, 202), "ack") == "journaled");
  CHECK(text(expect(strict, 503), "detail").find("this node is ending") != std::string::npos);
  CHECK(take(composer, done));
  CHECK(unconfirmed(unpublished::draining) == 2);
}

TEST_CASE_METHOD(published_fixture, "published: a reload changes level, deadline and policy") {
  start(options);
  auto client = connect();
  options.streams["plain"] = published_to({"bus"}, unpublished_policy::refuse);
  options.streams["plain"].publish_timeout_ms = 10ms;
  options.streams["strict"].ack = ack_level::journaled;
  tell(rules_changed{rules_of(options)});
  store(client, to("strict"));
  expect(client, 202);
  CHECK_FALSE(awaited(bus));
  store(client, to("plain"));
  CHECK(awaited(bus));
  pass(10 * ms);
  expect(client, 503);
}

// -- with idempotency keys ------------------------------------------------------------------------

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
  reply(asked(peer_0), {granted(0)});
  const auto answer = [&](unpublished lack) {
    tell(forward_reply{sent.token,
                       "zzzzzzzz",
                       {{0, claim_state::accepted, 9, 1, 0, 0}},
                       granted(1),
                       static_cast<std::uint8_t>(lack)});
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
    CHECK(got->lack == 0);
    CHECK(got->verdicts[0].state == claim_state::accepted);
  }
  SECTION("late") {
    pass(1'000 * ms);
    auto got = answered();
    REQUIRE(got);
    CHECK(got->lack == static_cast<std::uint8_t>(unpublished::late));
    CHECK(got->verdicts[0].state == claim_state::accepted);
  }
  SECTION("a drain here does not wait") {
    composer->send(front_end, drain{});
    turn();
    auto got = answered();
    REQUIRE(got);
    CHECK(got->lack == static_cast<std::uint8_t>(unpublished::draining));
  }
}

// -- a journal that nears its cap -----------------------------------------------------------------

TEST_CASE_METHOD(published_fixture, "scarce: expendable streams are refused, others are not") {
  options.streams["plain"].expendable = true;
  start(options);
  auto client = connect();
  store(client, to("plain"));
  expect(client, 202);
  node.journal_scarce = true;
  send(client, to("plain"));
  CHECK(nobody_asked());
  auto got = expect(client, 507);
  CHECK(got["retry-after"] == "10");
  CHECK(text(got, "detail").find("expendable") != std::string::npos);
  CHECK(shed(shed_reason::expendable) == 1);
  store(client, to("queued"));
  expect(client, 202);
  send(client, get("/readyz?verbose"));
  CHECK(expect(client, 200).body == "ok\ndraining: no\njournal: scarce\n");
  options.streams["plain"].expendable = false;
  tell(rules_changed{rules_of(options)});
  store(client, to("plain"));
  expect(client, 202);
}
