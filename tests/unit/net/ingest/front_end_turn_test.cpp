// A turn: what is asked, what goes to the journal, and when the clients hear of it.
#include "actors/journal/journal_messages.hpp"
#include "actors/limits/limit_messages.hpp"
#include "actors/streams/stream_settings.hpp"
#include "net/http/front_end_metrics.hpp"
#include "tests/unit/net/ingest/front_end_support.hpp"

using namespace penstock;

namespace {

using texts = std::vector<std::string>;

stream_settings received_stream() {
  stream_settings out;
  out.ack = ack_level::received;
  return out;
}

} // namespace

TEST_CASE_METHOD(front_end_fixture,
                 "turn: one message a limiter, whatever the number of requests") {
  start();
  std::vector<test_client> clients;
  for (int i = 0; i < 6; ++i)
    clients.push_back(connect());
  for (std::size_t i = 0; i < clients.size(); ++i)
    clients[i].send(event(client_for(i % 2), "a" + std::to_string(i)) +
                    event(client_for(i % 2), "b" + std::to_string(i)));
  turn();
  auto first = asked(limiter_0), second = asked(limiter_1);
  REQUIRE((first && second));
  CHECK(first->items.size() == 6);
  CHECK(second->items.size() == 6);
  CHECK(first->items[0].client == client_of(client_for(0)));
  CHECK(second->items[5].client == client_of(client_for(1)));
  CHECK(nobody_asked());
  CHECK(metrics.limiter_messages.value() == 2);
  CHECK_FALSE(appended()); // nothing before the verdict
  grant(second);
  auto batch = appended();
  REQUIRE(batch);
  CHECK(batch->events == 6);
  CHECK(batch->urgent);
  CHECK(batch->front_end == front_end);
  CHECK_FALSE(appended());
  for (auto& client : clients)
    CHECK(client.read().empty()); // nothing before the disk
  durable(batch);
  CHECK(clients[0].read().empty());
  CHECK(expect(clients[1], 202)["ratelimit"] == R"("l";r=7;t=30)");
  expect(clients[1], 202);
  CHECK(metrics.journal_messages.value() == 1);
}

TEST_CASE_METHOD(front_end_fixture, "turn: tickets are drawn without gaps, and are the ids") {
  node.next_ticket = 100;
  start();
  auto client = connect();
  const auto name = client_for(0);
  send(client, event(name, "1") + event(name, "2", "/v1/events/other") + event(name, "3") +
                   event(name, "4", "/v1/events/other"));
  grant(asked(limiter_0));
  auto batch = appended();
  REQUIRE(batch);
  CHECK(batch->first_ticket == 100);
  CHECK(batch->events == 4);
  CHECK(node.next_ticket == 104);
  REQUIRE(batch->blocks.size() == 2);
  CHECK(batch->blocks[0]->stream == "default");
  CHECK(batch->blocks[0]->first_seq == 100);
  CHECK(bodies(*batch->blocks[0]) == texts{"1", "3"});
  CHECK(batch->blocks[1]->stream == "other");
  CHECK(batch->blocks[1]->first_seq == 102);
  CHECK(bodies(*batch->blocks[1]) == texts{"2", "4"});
  CHECK(batch->blocks[0]->events[0].client == client_of(name));
  CHECK(batch->blocks[0]->time_ms > 1'600'000'000'000);
  durable(batch);
  for (std::uint64_t seq : {100u, 102u, 101u, 103u})
    CHECK(id_in(expect(client, 202)) == id(seq));
  CHECK(metrics.events.value() == 4);
}

TEST_CASE_METHOD(front_end_fixture,
                 "turn: blocks are used again, but not while somebody holds them") {
  start();
  auto client = connect();
  const auto next = [&](const std::string& body, const std::string& stream) {
    send(client, event(client_for(0), body, "/v1/events/" + stream));
    grant(asked(limiter_0));
    auto batch = appended();
    REQUIRE(batch);
    REQUIRE(batch->blocks.size() == 1);
    CHECK(bodies(*batch->blocks[0]) == texts{body});
    CHECK(batch->blocks[0]->stream == stream);
    return batch;
  };
  auto held = next("a", "one");
  const auto* first = held->blocks[0].get();
  durable(held);
  auto second = next("b", "two");
  CHECK(second->blocks[0].get() != first);
  CHECK(bodies(*held->blocks[0]) == texts{"a"});
  const auto* spare = second->blocks[0].get();
  durable(std::move(second));
  auto third = next("c", "three");
  CHECK(third->blocks[0].get() == spare);
  CHECK(third->first_ticket == 3);
  durable(std::move(third));
  for (std::uint64_t seq : {1u, 2u, 3u})
    CHECK(id_in(expect(client, 202)) == id(seq));
}

TEST_CASE_METHOD(front_end_fixture, "turn: refused events are dropped from the blocks") {
  start();
  auto client = connect();
  const auto name = client_for(0);
  send(client, event(name, "a") + event(name, "b") + event(name, "only", "/v1/events/gone") +
                   event(name, "c") + event(name, "d"));
  reply(asked(limiter_0), {refused(), granted(1), refused(), refused(), granted(1)});
  auto batch = appended();
  REQUIRE(batch);
  CHECK(batch->events == 2);
  CHECK(node.next_ticket == 3); // no ticket for what was refused
  REQUIRE(batch->blocks.size() == 1);
  CHECK(bodies(*batch->blocks[0]) == texts{"b", "d"});
  durable(batch);
  auto no = expect(client, 429);
  CHECK(no["retry-after"] == "9");
  CHECK(no["ratelimit"] == R"("l";r=0;t=9)");
  CHECK(json_of(no).at("violated-policies").as_array() == boost::json::array{"l"});
  CHECK(id_in(expect(client, 202)) == id(1));
  expect(client, 429);
  expect(client, 429);
  CHECK(id_in(expect(client, 202)) == id(2));
  CHECK(metrics.in_flight_bytes.value() == 0);
}

TEST_CASE_METHOD(front_end_fixture, "turn: when all are refused the journal hears nothing") {
  start();
  auto client = connect();
  send(client, event(client_for(0), "a"));
  CHECK(metrics.in_flight_bytes.value() == 1);
  reply(asked(limiter_0), {refused()});
  expect(client, 429); // in the turn that the verdict came in
  CHECK_FALSE(appended());
  CHECK(node.next_ticket == 1);
  CHECK(metrics.in_flight_bytes.value() == 0);
  CHECK(metrics.events.value() == 0);
}

TEST_CASE_METHOD(front_end_fixture, "turn: a plan without limits asks nobody") {
  front_end_options options;
  options.rules.limits.clear();
  start(options);
  auto client = connect();
  send(client, event("x", "a") + ndjson("x", "1\n2\n"));
  CHECK(nobody_asked());
  auto batch = appended();
  REQUIRE(batch);
  CHECK(bodies(*batch->blocks[0]) == texts{"a", "1", "2"});
  durable(batch);
  auto got = expect(client, 202);
  CHECK_FALSE(got.fields.contains("ratelimit"));
  CHECK_FALSE(got.fields.contains("ratelimit-policy"));
}

TEST_CASE_METHOD(front_end_fixture, "turn: ack = received is answered as soon as it is admitted") {
  front_end_options options;
  options.streams["fast"] = received_stream();
  start(options);
  auto client = connect();
  send(client, event(client_for(0), "a", "/v1/events/fast"));
  CHECK(client.read().empty());
  grant(asked(limiter_0));
  CHECK(id_in(expect(client, 202)) == id(1));
  CHECK_FALSE(appended()); // it waits for company
  pass(2 * ms - 1);
  CHECK_FALSE(appended());
  pass(1);
  auto batch = appended();
  REQUIRE(batch);
  CHECK_FALSE(batch->urgent);
  finish(batch, error{errc::disk_full, "no room"});
  CHECK(client.read().empty()); // it had its answer
  CHECK(metrics.received_lost.value() == 1);
  CHECK(metrics.in_flight_bytes.value() == 0);
  CHECK(metrics.shed[static_cast<std::size_t>(shed_reason::disk_full)].value() == 0);
}

TEST_CASE_METHOD(front_end_fixture,
                 "turn: what a client waits for takes what is held along, in order") {
  front_end_options options;
  options.streams["fast"] = received_stream();
  start(options);
  auto fast = connect(), slow = connect();
  send(fast, event(client_for(0), "a", "/v1/events/fast"));
  grant(asked(limiter_0));
  CHECK_FALSE(appended());
  send(slow, event(client_for(0), "b"));
  grant(asked(limiter_0));
  auto first = appended(), second = appended();
  REQUIRE((first && second));
  CHECK(first->first_ticket == 1);
  CHECK_FALSE(first->urgent);
  CHECK(second->first_ticket == 2);
  CHECK(second->urgent);
  expect(fast, 202);
  CHECK(slow.read().empty());
  CHECK(metrics.journal_messages.value() == 2);
}

TEST_CASE_METHOD(front_end_fixture, "turn: no more than 512 events are held") {
  front_end_options options;
  options.streams["default"] = received_stream();
  start(options);
  auto client = connect();
  std::string lines;
  for (int i = 0; i < 511; ++i)
    lines += "1\n";
  send(client, ndjson(client_for(0), lines));
  grant(asked(limiter_0));
  CHECK_FALSE(appended());
  send(client, event(client_for(0), "x"));
  grant(asked(limiter_0));
  CHECK(appended());
  CHECK(appended());
}

TEST_CASE_METHOD(front_end_fixture,
                 "turn: a group that failed: 507 when there is no room, else 503") {
  start();
  auto client = connect();
  const auto fail = [&](errc code, unsigned status, shed_reason why) {
    const auto before = shed(why);
    send(client, event(client_for(0), "a"));
    grant(asked(limiter_0));
    finish(appended(), error{code, "because"});
    auto got = expect(client, status);
    CHECK(got["retry-after"] == "10");
    const std::string detail{json_of(got).at("detail").as_string()};
    CHECK(detail.ends_with("Nothing was stored."));
    CHECK(detail.find("because") == detail.npos); // that is for the log, it may name files
    CHECK(shed(why) == before + 1);
    CHECK(metrics.in_flight_bytes.value() == 0);
  };
  fail(errc::journal_full, 507, shed_reason::journal_full);
  fail(errc::disk_full, 507, shed_reason::disk_full);
  fail(errc::io, 503, shed_reason::journal_error);
  fail(errc::corrupt, 503, shed_reason::journal_error);
}

TEST_CASE_METHOD(front_end_fixture, "turn: an outcome that nobody waits for is passed over") {
  start();
  auto client = connect();
  tell(append_done{{77, 78}, true, {}});
  tell(admit_reply{99, {granted(1)}});
  CHECK(client.read().empty());
  CHECK_FALSE(appended());
}

TEST_CASE_METHOD(front_end_fixture, "turn: a client that left is stored but not answered") {
  start();
  auto gone = connect();
  send(gone, get("/livez"));
  send(gone, event(client_for(0), "a"));
  gone.close(); // with an unread answer: a reset
  turn();
  CHECK(metrics.connections.value() == 0);
  auto next = connect(); // gets the same session
  send(next, event(client_for(1), "b"));
  grant(asked(limiter_0));
  durable(appended());
  CHECK(next.read().empty()); // the answer is not its
  grant(asked(limiter_1));
  durable(appended());
  CHECK(id_in(expect(next, 202)) == id(2));
  CHECK(next.read().empty());
}

TEST_CASE_METHOD(front_end_fixture, "turn: a reload while the verdict is under way") {
  start();
  auto client = connect();
  send(client, event(client_for(0), "a") + event(client_for(0), "b"));
  front_end_options bare;
  bare.rules.limits.clear();
  tell(accounts_changed{bare.keys, plans_of(bare)});
  reply(asked(limiter_0), {refused(), granted(1)});
  durable(appended());
  auto no = expect(client, 429);
  CHECK(no["retry-after"] == "9");
  CHECK(no.fields.contains("ratelimit")); // of the plan that the request began with
  expect(client, 202);
  send(client, event(client_for(0), "c"));
  CHECK(nobody_asked());
}

TEST_CASE_METHOD(front_end_fixture, "turn: a limiter whose table is full") {
  start();
  auto client = connect();
  send(client, event(client_for(0), "a"));
  reply(asked(limiter_0), {{.reason = static_cast<std::uint8_t>(refusal::table_full)}});
  auto full = expect(client, 503);
  CHECK(full["retry-after"] == "1");
  CHECK(shed(shed_reason::table_full) == 1);
  CHECK(metrics.in_flight_bytes.value() == 0);
  // More than was asked for is as much as was asked for.
  send(client, event(client_for(0), "c"));
  reply(asked(limiter_0), {granted(5)});
  auto batch = appended();
  REQUIRE(batch);
  CHECK(batch->events == 1);
}

TEST_CASE_METHOD(front_end_fixture, "turn: who is gone costs those who wait nothing") {
  start();
  const auto large = event(client_for(0), std::string(200 << 10, 'x'));
  const auto much = event(client_for(0), std::string(session_environment::little_bytes + 1, 'y'));
  std::vector<test_client> users, gone;
  for (int i = 0; i < 2; ++i) { // each uses a turn up when its last byte is there
    users.push_back(connect());
    send(users.back(), std::string_view{large}.substr(0, large.size() - 1));
  }
  for (int i = 0; i < 8; ++i) {
    gone.push_back(connect());
    send(gone.back(), get("/livez")); // who leaves an answer unread resets the connection
  }
  auto last = connect();
  turn();
  users[0].send("x");
  for (auto& each : gone)
    each.send(much);
  last.send(much);
  turn();
  CHECK(costs(asked(limiter_0)).size() == 2); // the large one, and the first of those who wait
  gone.clear();
  users[1].send("x");
  turn();
  auto limits = asked(limiter_0);
  CHECK(costs(limits).size() == 2); // the large one, and the last of those who wait
  grant(limits);
  auto batch = appended();
  REQUIRE(batch);
  REQUIRE(batch->blocks.size() == 1);
  REQUIRE(batch->blocks[0]->size() == 2);
  CHECK(batch->blocks[0]->body(1).front() == 'y');
}

TEST_CASE_METHOD(front_end_fixture,
                 "turn: who comes in place of one that is gone waits like others") {
  start();
  const auto large = event(client_for(0), std::string(200 << 10, 'x'));
  const auto much = [](char filler) {
    return event(client_for(0), std::string(session_environment::little_bytes + 1, filler));
  };
  std::vector<test_client> users, waiting;
  auto another = connect();
  for (int i = 0; i < 5; ++i) { // each uses a turn up when its last byte is there
    users.push_back(connect());
    send(users.back(), std::string_view{large}.substr(0, large.size() - 1));
  }
  for (int i = 0; i < 6; ++i) {
    waiting.push_back(connect());
    if (i == 4) send(waiting.back(), get("/livez")); // left unread: it resets the connection
  }
  turn();
  users[0].send("x");
  for (int i = 0; i < 6; ++i)
    waiting[static_cast<std::size_t>(i)].send(much(static_cast<char>('a' + i)));
  turn();
  // In a turn that is used up: the large one, and the first of those who wait.
  auto first = asked(limiter_0);
  CHECK(costs(first).size() == 2);
  users[1].send("x");
  { auto gone = std::move(waiting[4]); } // 'e' is gone while it waits
  turn();
  CHECK(costs(asked(limiter_0)).size() == 2);
  users[2].send("x");
  auto late = connect(); // in a turn; it has what belonged to 'e'
  CHECK(costs(asked(limiter_0)).size() == 2);
  users[3].send("x");
  turn();
  CHECK(costs(asked(limiter_0)).size() == 2);
  users[4].send("x");
  late.send(much('l'));
  another.send(much('m'));
  turn();
  auto last = asked(limiter_0);
  CHECK(costs(last).size() == 2);
  // A turn that is not used up serves all who wait.
  turn();
  CHECK(costs(asked(limiter_0)).size() == 2);
  const auto who_waited = [this](auto& limits) {
    grant(limits);
    auto batch = appended();
    REQUIRE(batch);
    REQUIRE(batch->blocks[0]->size() == 2);
    return batch->blocks[0]->body(1).front();
  };
  CHECK(who_waited(first) == 'a');
  CHECK(who_waited(last) == 'f');
}
