// Connections and drains of a front end, and the loop it lives on.
#include "tests/unit/net/front_end_support.hpp"

using namespace penstock;

TEST_CASE_METHOD(front_end_fixture, "life: no more connections than may be") {
  front_end_options options;
  options.http.max_connections = 2;
  start(options);
  auto one = connect(), two = connect(), three = connect();
  auto full = expect(three, 503);
  CHECK(three.received.empty()); // the length is the body's
  CHECK(three.closed());
  CHECK(full["connection"] == "close");
  CHECK(full["retry-after"] == "1");
  CHECK(json_of(full).at("status").as_int64() == 503);
  CHECK(shed(shed_reason::connections) == 1);
  CHECK(node.connections == 2);
  CHECK(metrics.connections_total.value() == 3);
  one.close();
  turn();
  CHECK(node.connections == 1);
  auto four = connect();
  send(four, get("/livez"));
  expect(four, 200);
}

TEST_CASE_METHOD(front_end_fixture, "life: nobody is served before it is told to open") {
  front_end_options options;
  options.opens = false;
  start(options);
  auto early = connect();
  send(early, get("/livez"));
  pass(event_loop::tick_ms * ms);
  CHECK(early.status() == 0);
  CHECK(metrics.connections_total.value() == 0);
  caf::anon_send(front_end, caf::open_atom_v);
  for (int i = 0; i < 3; ++i) // it opens, accepts, reads
    turn();
  expect(early, 200);
}

TEST_CASE_METHOD(front_end_fixture, "life: deadlines are looked at as time passes") {
  start();
  auto idle = connect(), slow = connect();
  send(slow, "GET /");
  pass(9'900 * ms);
  CHECK(metrics.connections.value() == 2);
  pass(100 * ms);
  CHECK(idle.closed());
  CHECK(expect(slow, 408)["connection"] == "close");
  slow.close();
  turn();
  CHECK(metrics.connections.value() == 0);
}

TEST_CASE_METHOD(front_end_fixture, "life: a drain lets what is under way finish") {
  front_end_options options;
  options.streams["fast"].ack = ack_level::received;
  start(options);
  auto idle = connect(), busy = connect(), begun = connect();
  send(busy, event(client_for(0), "a") + event(client_for(0), "b", "/v1/events/fast"));
  send(begun, "GET /livez HTTP/1.1\r\n");
  caf::scoped_actor composer{system};
  composer->send(front_end, drain{});
  turn();
  drained done;
  CHECK(idle.closed());
  CHECK_FALSE(take(composer, done));
  send(begun, "Host: t\r\n\r\n");
  CHECK(expect(begun, 200)["connection"] == "close");
  CHECK(begun.closed());
  grant(asked(limiter_0));
  auto batch = appended();
  CHECK_FALSE(take(composer, done));
  durable(batch);
  expect(busy, 202);
  expect(busy, 202);
  CHECK(busy.closed());
  CHECK(take(composer, done));
  CHECK(metrics.connections.value() == 0);
}

TEST_CASE_METHOD(front_end_fixture, "life: what is held goes to the journal before a drain ends") {
  front_end_options options;
  options.streams["default"].ack = ack_level::received;
  start(options);
  auto client = connect();
  send(client, event(client_for(0), "a"));
  grant(asked(limiter_0));
  expect(client, 202);
  CHECK_FALSE(appended());
  caf::scoped_actor composer{system};
  composer->send(front_end, drain{});
  turn();
  drained done;
  CHECK(take(composer, done));
  CHECK(appended());
}

TEST_CASE_METHOD(front_end_fixture,
                 "life: a drain without connections is over at once, and nobody gets in") {
  start();
  { auto gone = connect(); }
  turn();
  caf::scoped_actor composer{system};
  composer->send(front_end, drain{});
  turn();
  drained done;
  CHECK(take(composer, done));
}

TEST_CASE_METHOD(stepped_loop,
                 "loop: a turn serves descriptors, then the client, then actors, then time") {
  struct noting final : loop_client, io_handler {
    std::string seen;
    void on_io(std::uint32_t) override { seen += "io "; }
    void after_io() override { seen += "after "; }
    void on_tick() override { seen += "tick "; }
    void end_turn() override { seen += "end "; }
  } client;
  struct no_state {};
  loop.add_client(&client);
  turn();
  CHECK(client.seen == "after tick end ");
  client.seen.clear();
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
  loop.add(ends[0], 1 /* EPOLLIN */, &client);
  test_client peer{ends[1]};
  peer.send("x");
  auto actor = spawn_hosted<no_state>(system, loop, [&](caf::stateful_actor<no_state>*) {
    client.seen += "start ";
    return caf::behavior{
        [&](drain) { client.seen += event_loop::current() == &loop ? "actor " : "elsewhere "; }};
  });
  caf::anon_send(actor, drain{});
  client.seen.clear();
  turn();
  CHECK(client.seen.starts_with("io after "));
  CHECK(client.seen.ends_with("actor end "));
  CHECK(event_loop::current() == nullptr);
  loop.remove(ends[0]);
  ::close(ends[0]);
  client.seen.clear();
  pass(event_loop::tick_ms * ms - 1);
  CHECK(client.seen == "after end ");
  pass(1);
  CHECK(client.seen == "after end after tick end ");
  CHECK(loop.now_ns() == now_ns);
  caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
  turn();
  loop.remove_client(&client);
}
