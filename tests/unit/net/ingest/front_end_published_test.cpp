// Streams with ack = "published": who is asked, what is waited for, what is told after all. And
// streams that are refused first.
#include "actors/base/lifecycle_messages.hpp"
#include "actors/base/unpublished.hpp"
#include "actors/streams/stream_settings.hpp"
#include "net/http/front_end_metrics.hpp"
#include "tests/unit/net/ingest/front_end_published_support.hpp"

#include <set>

using namespace penstock;
using namespace std::chrono_literals;

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
  // In the order of their numbers, whichever connection was read first.
  std::uint64_t next = 1;
  for (const auto& item : first->items) {
    CHECK(item.first_seq == next);
    next = item.last_seq + 1;
  }
  CHECK(next == 5);
  CHECK(awaited(log));
  CHECK_FALSE(awaited(log));
  settle(second);
  CHECK(clients[0].status() == 0); // answers come in the order of the requests
  settle(first);
  settle(first); // as the other sink does
  std::set<std::string> ids{id_in(expect(clients[0], 202)), id_in(expect(clients[1], 202))};
  CHECK(id_in(expect(clients[0], 202)) == id(5));
  CHECK(id_in(expect(clients[0], 202)) == id(6));
  const auto batch = expect(clients[2], 202);
  ids.insert({text(batch, "first_id"), text(batch, "last_id")});
  CHECK(ids == std::set{id(1), id(2), id(3), id(4)});
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
  // An answer that is never read makes the close a reset, which says that nobody waits.
  send(client, get("/") + to("strict"));
  client.close();
  turn();
  grant(asked(limiter_0));
  durable(appended());
  CHECK_FALSE(awaited(bus));
  auto second = connect();
  send(second, get("/"));
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

TEST_CASE_METHOD(published_fixture, "published: usage counts what is stored, once, when it is") {
  caf::scoped_actor usage{system};
  options.usage = handle(usage);
  start(options);
  auto client = connect();
  store(client, to("strict"));
  const auto counted = [&] {
    usage_counts sum;
    usage_batch_ptr batch;
    while (take(usage, batch))
      for (auto& entry : batch->entries[static_cast<std::size_t>(usage_dimension::stream)])
        sum += entry.counts;
    return sum;
  };
  pass(999 * ms);
  pass(1 * ms);
  expect(client, 503);
  pass(2'000 * ms);
  CHECK(counted() == usage_counts{1, 1, 4, 0});
  settle(awaited(bus));
  pass(2'000 * ms);
  CHECK(counted() == usage_counts{});
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

TEST_CASE_METHOD(published_fixture, "a key opens no full stream where keys are not looked at") {
  start(options);
  auto client = connect();
  tell(std::make_shared<const refused_streams>(refused_streams{{"plain"}, false}));
  send(client, to("plain", "body", "Idempotency-Key: k\r\n"));
  CHECK(nobody_asked());
  expect(client, 507);
}

TEST_CASE_METHOD(published_fixture, "full streams are refused, and nobody is asked or charged") {
  start(options);
  auto client = connect();
  refused_streams full;
  full.names = {"plain"};
  tell(std::make_shared<const refused_streams>(full));
  send(client, to("plain"));
  CHECK(nobody_asked());
  auto got = expect(client, 507);
  CHECK(got["retry-after"] == "10");
  CHECK(text(got, "detail").find("The stream \"plain\" holds as much as its max_size") == 0);
  CHECK(shed(shed_reason::stream_full) == 1);
  store(client, to("queued"));
  expect(client, 202);

  // Of those that are not configured all are refused, and no other.
  full = {{}, true};
  tell(std::make_shared<const refused_streams>(full));
  send(client, to("new"));
  CHECK(nobody_asked());
  CHECK(text(expect(client, 507), "detail").find("journal.unconfigured_max_size") !=
        std::string::npos);
  store(client, to("plain"));
  expect(client, 202);
  send(client, get("/readyz"));
  expect(client, 200);

  tell(refused_streams_ptr{});
  send(client, to("new"));
  CHECK_FALSE(nobody_asked());
  CHECK(shed(shed_reason::stream_full) == 2);
}
