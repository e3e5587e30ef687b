// Which requests are taken, and what is turned away before or with the limiter's word.
#include "net/http/front_end_metrics.hpp"
#include "tests/unit/net/ingest/front_end_support.hpp"

using namespace penstock;

TEST_CASE_METHOD(front_end_fixture, "requests: paths and methods") {
  start();
  auto client = connect();
  send(client, get("/") + get("/v1/eventsx") + post("/v1/event") + get("/v1/events") +
                   post("/livez") + get("/livez") + post("/v1/events/a/b"));
  CHECK(expect(client, 404)["content-type"] == "application/problem+json");
  expect(client, 404);
  expect(client, 404);
  CHECK(expect(client, 405)["allow"] == "POST");
  CHECK(expect(client, 405)["allow"] == "GET, HEAD");
  CHECK(expect(client, 200).body == "ok\n");
  CHECK(client.read().empty()); // a bad name of a stream waits for the client's limits
  auto question = asked(limiter_0);
  if (!question) question = asked(limiter_1);
  reply(question, {granted(0)});
  expect(client, 400);
}

TEST_CASE_METHOD(front_end_fixture, "requests: a proxy's form of target means its path") {
  start();
  auto client = connect();
  send(client, get("http://node:80/livez?x") + get("http://node"));
  expect(client, 200);
  expect(client, 404);
  send(client, event(client_for(0), "a", "https://node/v1/events/s?x=http://y/livez"));
  grant(asked(limiter_0));
  auto batch = appended();
  REQUIRE(batch);
  CHECK(batch->blocks[0]->stream == "s");
}

TEST_CASE_METHOD(front_end_fixture, "requests: health") {
  start();
  auto client = connect();
  const auto ready = [&](const char* target) {
    send(client, get(target));
    auto got = client.answer();
    REQUIRE(got);
    CHECK(got->status == (got->body.starts_with("ok\n") ? 200 : 503));
    return got->body;
  };
  CHECK(ready("/readyz") == "ok\n");
  CHECK(ready("/readyz?verbose") == "ok\ndraining: no\njournal: ok\n");
  node.journal_full = true;
  CHECK(ready("/readyz?verbose") == "not ready\ndraining: no\njournal: full\n");
  node.journal_full = false;
  node.journal_failed = true;
  CHECK(ready("/readyz?verbose") == "not ready\ndraining: no\njournal: failed\n");
  node.journal_failed = false;
  node.draining = true;
  CHECK(ready("/readyz?verbose=1") == "not ready\ndraining: yes\njournal: ok\n");
  CHECK(ready("/livez") == "ok\n");
  node.draining = false;
  node.ready = false;
  CHECK(ready("/readyz") == "not ready\n");
  send(client, "HEAD /readyz HTTP/1.1\r\nHost: t\r\n\r\n");
  auto head = client.answer(true);
  REQUIRE(head);
  CHECK((*head)["content-length"] == "10");
  CHECK(client.received.empty());
}

TEST_CASE_METHOD(front_end_fixture,
                 "requests: keys that nobody knows, clients that can't be told") {
  start();
  auto client = connect();
  send(client, event("a", "x", "/v1/events", "X-Api-Key: k\r\n") +
                   event("a", "x", "/v1/events", "X-Client: b\r\n"));
  CHECK_FALSE(expect(client, 401).fields.contains("ratelimit"));
  expect(client, 400);
  CHECK(nobody_asked());
  CHECK(metrics.in_flight_bytes.value() == 0);
}

TEST_CASE_METHOD(front_end_fixture,
                 "requests: what is wrong with one costs nothing and tells the limits") {
  front_end_options options;
  options.streams["small"].max_body_bytes = 3;
  start(options);
  auto client = connect();
  const auto fails = [&](const std::string& request, unsigned status, const char* named) {
    send(client, request);
    auto question = asked(limiter_0);
    CHECK(costs(question) == std::vector<std::uint32_t>{0});
    CHECK(client.read().empty());
    reply(question, {{.remaining = 7, .reset_s = 30, .limit = 0}});
    auto got = expect(client, status);
    CHECK(got["ratelimit"] == R"("l";r=7;t=30)");
    CHECK(got["content-type"] == "application/problem+json");
    const auto detail = std::string{json_of(got).at("detail").as_string()};
    INFO(detail);
    CHECK(detail.find(named) != detail.npos);
    CHECK_FALSE(appended());
  };
  const auto name = client_for(0);
  for (const auto* target : {"/v1/events/", "/v1/events/a%2Fb", "/v1/events/a/b"})
    fails(event(name, "x", target), 400, "name");
  fails(event(name, "x", "/v1/events/" + std::string(65, 'a')), 400, "name");
  fails(event(name, "x", "/v1/events", "Content-Encoding: gzip\r\n"), 415, "gzip");
  fails(event(name, "[]", "/v1/events", "Content-Type: application/cloudevents-batch+avro\r\n"),
        415, "CloudEvents");
  fails(event(name, "{}", "/v1/events", "Content-Type: application/cloudevents+json\r\n"), 400,
        "specversion");
  fails(event(name, "{}", "/v1/events", "Content-Type: application/cloudevents-batch+json\r\n"),
        400, "array");
  fails(event(name, "x", "/v1/events", "ce-id: 1\r\n"), 400, "specversion");
  fails(event(name, "x", "/v1/events", "Idempotency-Key: \"open\r\n"), 400, "Idempotency-Key");
  fails(event(name, "1234", "/v1/events/small"), 413, "small");
  fails(event(name, "{", "/v1/events", "Content-Type: application/json\r\n"), 400, "JSON");
  fails(event(name, "", "/v1/events", "Content-Type: application/json\r\n"), 400, "JSON");
  send(client, event(name, "123", "/v1/events/small") +
                   event(name, "{}", "/v1/events",
                         "Content-Type: application/json\r\nContent-Encoding: identity\r\n"));
  CHECK(costs(asked(limiter_0)) == std::vector<std::uint32_t>{1, 1});
}

TEST_CASE_METHOD(front_end_fixture,
                 "requests: a wrong one among good ones stores nothing and moves nothing") {
  start();
  auto client = connect();
  const auto name = client_for(0);
  send(client, event(name, "a") + event(name, "{", "/v1/events", "Content-Type: text/json\r\n") +
                   event(name, "c"));
  reply(asked(limiter_0), {granted(1), granted(0), granted(1)});
  auto batch = appended();
  REQUIRE(batch);
  CHECK(bodies(*batch->blocks[0]) == std::vector<std::string>{"a", "c"});
  durable(batch);
  CHECK(id_in(expect(client, 202)) == id(1));
  expect(client, 400);
  CHECK(id_in(expect(client, 202)) == id(2));
}

TEST_CASE_METHOD(front_end_fixture, "requests: an event keeps its type and its trace") {
  start();
  auto client = connect();
  const auto name = client_for(0);
  const std::string trace =
      "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";
  send(client, event(name, "a") +
                   event(name, "b", "/v1/events", "Content-Type: text/plain\r\n" + trace) +
                   event(name, "c", "/v1/events", "traceparent: nonsense\r\n") +
                   ndjson(name, "1\n2\n", trace));
  grant(asked(limiter_0));
  auto batch = appended();
  REQUIRE(batch);
  const auto& block = *batch->blocks[0];
  REQUIRE(block.size() == 5);
  const auto type = [&](std::size_t i) { return block.content_types[block.events[i].type]; };
  const auto attributes = [&](std::size_t i) {
    return block.attributes[block.events[i].attributes];
  };
  CHECK(type(0) == "application/octet-stream");
  CHECK(type(1) == "text/plain");
  CHECK(type(3) == "application/json");
  CHECK(attributes(0).empty());
  CHECK(attributes(2).empty());
  for (std::size_t i : {1u, 3u, 4u})
    CHECK(attributes(i) ==
          R"({"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"})");
}

TEST_CASE_METHOD(front_end_fixture, "requests: HTTP/1.0 and connections that are to close") {
  start();
  auto old = connect();
  send(old, "POST /v1/events HTTP/1.0\r\nConnection: keep-alive\r\nX-Client: " + client_for(0) +
                "\r\nContent-Length: 1\r\n\r\na");
  grant(asked(limiter_0));
  durable(appended());
  CHECK(expect(old, 202)["connection"] == "keep-alive");
  CHECK_FALSE(old.closed());
  send(old, "GET /livez HTTP/1.0\r\n\r\n");
  CHECK(expect(old, 200)["connection"] == "close");
  CHECK(old.closed());
  auto client = connect();
  send(client, event(client_for(0), "a", "/v1/events", "Connection: close\r\n"));
  grant(asked(limiter_0));
  durable(appended());
  CHECK(expect(client, 202)["connection"] == "close");
  CHECK(client.closed());
  auto bad = connect();
  send(bad, "NONSENSE\r\n\r\n");
  CHECK(expect(bad, 400)["connection"] == "close");
}

TEST_CASE_METHOD(front_end_fixture, "shedding: a full journal, before anything is charged") {
  start();
  auto client = connect();
  node.journal_full = true;
  send(client, event("a", "x"));
  auto full = expect(client, 507);
  CHECK(full["retry-after"] == "10");
  CHECK(full.body.find("journal.max_size") != full.body.npos);
  CHECK(shed(shed_reason::journal_full) == 1);
  node.disk_full = true;
  send(client, event("a", "x"));
  CHECK(expect(client, 507).body.find("disk") != std::string::npos);
  CHECK(shed(shed_reason::disk_full) == 1);
  CHECK(nobody_asked());
  node.journal_full = false;
  send(client, event(client_for(0), "x"));
  CHECK(asked(limiter_0));
}

TEST_CASE_METHOD(front_end_fixture, "shedding: a journal that failed, before anything is charged") {
  start();
  auto client = connect();
  node.journal_failed = true;
  send(client, event("a", "x"));
  auto failed = expect(client, 503);
  CHECK(failed["retry-after"] == "1");
  CHECK(failed.body.find("Nothing was stored.") != failed.body.npos);
  CHECK(shed(shed_reason::journal_error) == 1);
  CHECK(nobody_asked());
  node.journal_failed = false;
  send(client, event(client_for(0), "x"));
  CHECK(asked(limiter_0));
}

TEST_CASE_METHOD(front_end_fixture, "shedding: bodies under way, to the byte") {
  front_end_options options;
  options.http.max_in_flight_bytes = 100;
  start(options);
  auto one = connect(), two = connect();
  send(one, event(client_for(0), std::string(1'000, 'a'))); // alone it may be larger
  auto question = asked(limiter_0);
  REQUIRE(question);
  CHECK(metrics.in_flight_bytes.value() == 1'000);
  send(two, event(client_for(0), "b"));
  CHECK(expect(two, 503)["retry-after"] == "1");
  CHECK(shed(shed_reason::in_flight) == 1);
  grant(question);
  send(two, event(client_for(0), "b"));
  expect(two, 503); // until it is on the disk
  durable(appended());
  expect(one, 202);
  CHECK(metrics.in_flight_bytes.value() == 0);
  send(one, event(client_for(0), std::string(60, 'a')));
  send(two, event(client_for(0), std::string(41, 'b')));
  expect(two, 503);
  send(two, event(client_for(0), std::string(40, 'b')));
  CHECK(two.read().empty());
  CHECK(metrics.in_flight_bytes.value() == 100);
  CHECK(asked(limiter_0));
  CHECK(asked(limiter_0));
  CHECK(nobody_asked());
}

TEST_CASE_METHOD(front_end_fixture, "shedding: a small request finds room beside large ones") {
  front_end_options options;
  options.http.max_in_flight_bytes = 100'000; // 25,000 of it are reserved
  start(options);
  auto one = connect(), two = connect(), three = connect();
  send(one, event(client_for(0), std::string(74'000, 'a')));
  auto large = asked(limiter_0);
  send(two, event(client_for(0), std::string(10'000, 'b')));
  expect(two, 503);
  send(three, event(client_for(0), "small"));
  auto small = asked(limiter_0);
  grant(small);
  durable(appended());
  expect(three, 202);
  grant(large);
  durable(appended());
  expect(one, 202);
}

TEST_CASE_METHOD(front_end_fixture, "shedding: who reads nothing keeps nobody out") {
  front_end_options options;
  options.http.max_in_flight_bytes = 600'000;
  start(options);
  const auto held = [&] {
    std::int64_t sum = 0;
    for (auto& part : metrics.memory_bytes)
      sum += part.value();
    return sum;
  };
  std::string lines;
  for (int i = 0; i < 1'500; ++i)
    lines += "1\n";
  std::string requests; // whose answers have 45 kB each
  for (int i = 0; i < 40; ++i)
    requests += ndjson(client_for(0), lines, "Prefer: return=representation\r\n");
  std::vector<test_client> greedy;
  for (int i = 0; i < 8; ++i) {
    greedy.push_back(connect());
    greedy.back().send(requests);
  }
  auto paying = connect();
  const auto serve = [&] {
    turn();
    while (const auto question = asked(limiter_0))
      grant(question);
    while (auto batch = appended())
      durable(std::move(batch));
  };
  std::int64_t most = 0;
  for (int round = 0; round < 100; ++round) {
    serve();
    most = std::max(most, held());
    send(paying, event(client_for(0), "small"));
    serve();
    serve();
    expect(paying, 202);
  }
  CHECK(most > 300'000);
  CHECK(most < 600'000);
}

TEST_CASE_METHOD(front_end_fixture,
                 "shedding: bodies that are still arriving count, and their headers") {
  front_end_options options;
  const auto text = event(client_for(0), std::string(90, 'a'));
  options.http.max_in_flight_bytes = 100 + text.size() - 90;
  start(options);
  auto one = connect(), two = connect(), three = connect();
  send(one, text.substr(0, text.size() - 10)); // 80 bytes are here
  send(two, event(client_for(0), std::string(21, 'b')));
  expect(two, 503);
  send(three, text.substr(0, text.size() - 71)); // 19 more
  CHECK(three.read().empty());
  send(three, "aa"); // 101
  auto over = expect(three, 503);
  CHECK(over["connection"] == "close");
  CHECK(over["retry-after"] == "1");
  CHECK(shed(shed_reason::in_flight) == 2);
  send(one, text.substr(text.size() - 10)); // its own bytes do not stand in its way
  CHECK(asked(limiter_0));
}
