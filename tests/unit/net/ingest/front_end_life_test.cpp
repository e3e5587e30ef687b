// Connections and drains of a front end, and the loop it lives on.
#include "actors/base/lifecycle_messages.hpp"
#include "actors/streams/stream_settings.hpp"
#include "net/http/front_end_metrics.hpp"
#include "net/loop/listener.hpp"
#include "tests/unit/net/ingest/front_end_support.hpp"

#include <netinet/tcp.h>

#include <fstream>

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

TEST_CASE_METHOD(front_end_fixture, "life: so many connections are let in a turn") {
  front_end_options options;
  options.opens = false;
  start(options);
  constexpr std::uint64_t a_turn = 64;
  std::vector<test_client> waiting;
  for (std::uint64_t i = 0; i < a_turn + 10; ++i)
    waiting.push_back(connect());
  caf::anon_send(front_end, caf::open_atom_v);
  std::uint64_t let_in = 0, most = 0;
  for (int i = 0; i < 5; ++i) {
    turn();
    const auto now = metrics.connections_total.value();
    most = std::max(most, now - std::exchange(let_in, now));
  }
  CHECK(most == a_turn);
  CHECK(let_in == a_turn + 10);
}

TEST_CASE("loop: a listening socket lets 4096 connections wait") {
  auto door = open_listener("127.0.0.1", 0);
  REQUIRE(door.has_value());
  const int fd = door->give();
  tcp_info info{};
  socklen_t size = sizeof info;
  REQUIRE(::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0);
  std::uint32_t most = 0; // the kernel's own bound
  std::ifstream{"/proc/sys/net/core/somaxconn"} >> most;
  CHECK(info.tcpi_sacked == std::min(most, 4096u)); // of a listening socket, its backlog
  ::close(fd);
}

TEST_CASE_METHOD(stepped_loop, "loop: so many events and runs of actors are of one turn") {
  struct counting final : io_handler {
    std::size_t seen = 0;
    void on_io(std::uint32_t) override { ++seen; }
  } counter;
  std::vector<int> ends;
  for (std::size_t i = 0; i < event_loop::max_events_per_turn + 20; ++i) {
    int pair[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
    loop.add(pair[0], 1 | (1u << 31) /* EPOLLIN | EPOLLET */, &counter);
    REQUIRE(::send(pair[1], "x", 1, 0) == 1);
    ends.insert(ends.end(), {pair[0], pair[1]});
  }
  turn();
  CHECK(counter.seen <= event_loop::max_events_per_turn);
  CHECK(counter.seen > 0);
  turn();
  CHECK(counter.seen == event_loop::max_events_per_turn + 20);
  for (std::size_t i = 0; i < ends.size(); i += 2)
    loop.remove(ends[i]);
  for (const int fd : ends)
    ::close(fd);
  // Two actors that write to each other for ever don't keep the loop from its descriptors.
  struct no_state {};
  std::size_t runs = 0;
  const auto make = [&] {
    return spawn_hosted<no_state>(system, loop, [&runs](caf::stateful_actor<no_state>* self) {
      return caf::behavior{[self, &runs](caf::actor other) {
        ++runs;
        self->send(other, caf::actor_cast<caf::actor>(self));
      }};
    });
  };
  const auto a = make(), b = make();
  turn();
  caf::anon_send(a, b);
  turn();
  CHECK(runs > 1);
  CHECK(runs <= event_loop::max_actor_rounds);
  const auto after_one = runs;
  turn();
  CHECK(runs > after_one);
  for (const auto& one : {a, b})
    caf::anon_send_exit(one, caf::exit_reason::kill);
  turn();
  turn();
}
