// What a session holds and for how long, and how much it does in a turn.
#include "net/http/front_end_metrics.hpp"
#include "tests/unit/net/http/session_support.hpp"

using namespace penstock;

namespace {

constexpr std::int64_t second_ns = 1'000 * ms;

} // namespace

TEST_CASE_METHOD(session_fixture, "memory: half a header is counted until its end is there") {
  auto client = connect();
  send(client, "GET /" + std::string(500, 'x'));
  CHECK(memory->of(memory_part::input) >= 505);
  CHECK(s->held_bytes() == memory->total());
  send(client, " HTTP/1.1\r\nHost: t\r\n\r\n");
  CHECK(handler.requests.size() == 1);
  CHECK(memory->total() == 0);
  answer(0, "A");
  handler.flush();
  send(client, post("/", std::string(100, 'x')).substr(0, 60));
  CHECK(memory->of(memory_part::input) > 0); // the header of a body that is arriving
  s->close();
  CHECK(memory->total() == 0);
}

TEST_CASE_METHOD(session_fixture, "memory: what comes behind a full pipeline is counted") {
  auto client = connect();
  std::string many;
  for (int i = 0; i < 100; ++i)
    many += get("/");
  send(client, many);
  CHECK(handler.requests.size() == 4);
  CHECK(memory->of(memory_part::input) >= many.size() - 4 * get("/").size());
}

TEST_CASE_METHOD(session_fixture, "memory: answers are counted until the socket has them") {
  auto client = connect(4'096);
  send(client, get("/1") + get("/2"));
  answer(1, std::string(10'000, 'b')); // behind one that is under way
  CHECK(memory->of(memory_part::answers) >= 10'000);
  answer(0, std::string(100'000, 'a'));
  CHECK(memory->of(memory_part::answers) >= 110'000);
  handler.flush();
  CHECK(memory->of(memory_part::answers) >= 110'000); // the buffer is held until all is sent
  for (int round = 0; round < 1'000 && client.read().size() < 110'000; ++round)
    turn();
  CHECK(memory->total() == 0);
}

TEST_CASE_METHOD(session_fixture, "memory: what an answer will be is counted from the request on") {
  handler.answer_bytes = 1'000;
  auto client = connect();
  send(client, get("/1") + get("/2"));
  CHECK(memory->of(memory_part::answers) == 2'000);
  answer(1, "B");
  CHECK(memory->of(memory_part::answers) <= 1'000 + 15);
  answer(0, "A");
  handler.flush();
  CHECK(memory->total() == 0);
}

TEST_CASE_METHOD(session_fixture,
                 "memory: no further request while many bytes are to be answered") {
  handler.answer_bytes = session_environment::max_unsent_bytes / 2;
  auto client = connect();
  send(client, get("/1") + get("/2") + get("/3"));
  turn();
  CHECK(handler.requests.size() == 2);
  answer(0, "A");
  handler.flush();
  turn();
  CHECK(handler.requests.size() == 3);
}

TEST_CASE_METHOD(session_fixture, "memory: one request at a time while it is scarce") {
  limit_memory(100'000);
  others(80'000);
  auto client = connect();
  send(client, get("/1") + get("/2") + get("/3"));
  turn();
  CHECK(handler.requests.size() == 1);
  answer(0, "A");
  handler.flush();
  CHECK(handler.requests.size() == 2);
  others(-80'000);
  answer(1, "B");
  handler.flush();
  CHECK(handler.requests.size() == 3);
}

TEST_CASE_METHOD(session_fixture, "memory: while it is scarce little is read at once") {
  limit_memory(100'000);
  others(80'000);
  auto client = connect();
  std::string many;
  for (int i = 0; i < 1'000; ++i)
    many += get("/");
  send(client, many);
  CHECK(handler.requests.size() == 1);
  CHECK(s->held_bytes() <= memory->share_bytes());
  CHECK(s->held_bytes() < many.size() - get("/").size());
}

TEST_CASE_METHOD(session_fixture, "memory: half a header finds room only while it is small") {
  limit_memory(16'000); // 4,000 of it are reserved
  env->settings.max_header_bytes = 8'000;
  others(12'000);
  auto client = connect();
  send(client, "GET /" + std::string(1'000, 'x'));
  CHECK(handler.rejected.empty());
  send(client, std::string(3'200, 'x'));
  CHECK(handler.rejected == std::vector<unsigned>{503});
  CHECK(handler.shed == std::vector<shed_reason>{shed_reason::in_flight});
  CHECK(client.read() == "bad503");
}

TEST_CASE_METHOD(session_fixture, "memory: who reads nothing is let go of when it is scarce") {
  limit_memory(300'000);
  auto client = connect(4'096);
  send(client, get("/1"));
  answer(0, std::string(250'000, 'a'));
  handler.flush();
  CHECK(memory->is_scarce());
  CHECK(s->bytes_kept_by_slowness(loop.now_ns()) == 0);
  pass(second_ns - 1);
  CHECK(s->bytes_kept_by_slowness(loop.now_ns()) == 0);
  pass(1);
  CHECK(s->bytes_kept_by_slowness(loop.now_ns()) >= 250'000);
  // Who reads on is not slow.
  for (int round = 0; round < 20; ++round) {
    client.read();
    turn();
  }
  CHECK(client.received.size() > 16 << 10);
  CHECK(s->bytes_kept_by_slowness(loop.now_ns()) == 0);
  pass(60 * second_ns);
  CHECK(s->bytes_kept_by_slowness(loop.now_ns()) == 0); // closed by then
  CHECK_FALSE(s->is_open());
}

TEST_CASE_METHOD(session_fixture, "memory: given up for slowness, reading and sending") {
  auto client = connect(4'096);
  send(client, get("/1"));
  answer(0, std::string(250'000, 'a'));
  handler.flush();
  s->give_up_on_client();
  CHECK_FALSE(s->is_open());
  CHECK(metrics.shed[static_cast<std::size_t>(shed_reason::slow_client)].value() == 1);
  auto slow = connect();
  send(slow, "GET /x");
  pass(2 * second_ns);
  CHECK(s->bytes_kept_by_slowness(loop.now_ns()) > 0);
  s->give_up_on_client();
  handler.flush();
  CHECK(slow.read() == "bad503");
  CHECK(handler.shed == std::vector<shed_reason>{shed_reason::slow_client});
  slow.close();
  turn();
  auto idle = connect();
  pass(2 * second_ns);
  CHECK(s->bytes_kept_by_slowness(loop.now_ns()) == 0);
}

TEST_CASE_METHOD(session_fixture,
                 "deadlines: a reader of a byte now and then is closed in the end") {
  auto client = connect(4'096);
  send(client, get("/1"));
  answer(0, std::string(80'000, 'a')); // 30 s, and 20 s for so many bytes
  handler.flush();
  for (int i = 0; i < 9; ++i) {
    client.read_some(2'000);
    turn();
    pass(5 * second_ns);
  }
  CHECK(s->is_open());
  pass(5 * second_ns);
  CHECK_FALSE(s->is_open());
  CHECK(timeouts(timeout_kind::write) == 1);
}

TEST_CASE_METHOD(session_fixture, "turns: a connection has a share of each, and then others come") {
  handler.at_once = "A";
  handler.work_bytes = session_environment::max_turn_work_bytes;
  auto client = connect();
  std::string many;
  for (int i = 0; i < 6; ++i)
    many += get("/");
  send(client, many);
  CHECK(handler.requests.size() == 1);
  CHECK(handler.to_go_on.size() == 1);
  for (std::size_t i = 2; i <= 6; ++i) {
    client.send(get("/")); // readiness alone does not get it a second share
    turn();
    CHECK(handler.requests.size() == i);
    CHECK(s->held_bytes() < many.size() + 64 + 100);
  }
  for (int i = 0; i < 5; ++i)
    turn();
  CHECK(handler.requests.size() == 11);
  turn();
  CHECK(handler.to_go_on.empty());
  CHECK(client.read() == "AAAAAAAAAAA");
}

TEST_CASE_METHOD(session_fixture, "turns: a connection that closes meanwhile is not gone on with") {
  handler.work_bytes = session_environment::max_turn_work_bytes;
  auto client = connect();
  send(client, get("/1") + get("/2"));
  s->close();
  turn();
  CHECK(handler.requests.size() == 1);
}

TEST_CASE_METHOD(session_fixture, "turns: one that is used up is for those who have little") {
  const std::string body(session_environment::little_bytes + 1, 'x');
  const auto large =
      "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
      body;
  handler.at_once = "A";
  auto client = connect();
  const auto use_up = [&] { env->turn_work_bytes = session_environment::max_lane_work_bytes; };
  use_up();
  send(client, get("/little"));
  CHECK(handler.requests.size() == 1);
  SECTION("who sends much waits, and keeps little of it") {
    use_up();
    send(client, large + large);
    CHECK(handler.requests.size() == 1);
    CHECK(handler.to_go_on.size() == 1);
    CHECK(s->held_bytes() < 2 * session_environment::little_bytes);
    use_up();
    turn(); // it is its turn: one request, whatever the others do
    CHECK(handler.requests.size() == 2);
    CHECK(handler.to_go_on.size() == 1);
    turn();
    CHECK(handler.requests.size() == 3);
    CHECK(handler.to_go_on.empty());
  }
  SECTION("so does who has sent all but the last byte before") {
    send(client, large.substr(0, large.size() - 1));
    use_up();
    send(client, "x");
    CHECK(handler.requests.size() == 1);
    pass(3'600'000'000'000); // it is not the client that is late
    CHECK(handler.rejected.empty());
    use_up();
    turn();
    REQUIRE(handler.requests.size() == 2);
    CHECK(handler.requests.back().body == body);
    send(client, get("/next"));
    CHECK(handler.requests.size() == 3);
  }
  SECTION("small ones that were sent in advance are some at a time") {
    std::string many;
    for (int i = 0; i < 20; ++i)
      many += get("/" + std::string(400, 'x'));
    use_up();
    send(client, many);
    CHECK(handler.requests.size() == 1);
    use_up();
    turn();
    CHECK(handler.requests.size() > 3); // the bound of the pipeline is 4
    CHECK(handler.requests.size() < 12);
  }
  SECTION("a body behind its header counts whole, though it was not copied") {
    const auto header_size = large.size() - body.size();
    send(client, large.substr(0, header_size));
    const auto before = env->turn_work_bytes;
    client.send(large.substr(header_size));
    stepped_loop::turn();
    CHECK(handler.requests.size() == 2);
    CHECK(env->turn_work_bytes - before >= body.size() + 512);
    handler.flush();
  }
  SECTION("what was only copied so far counts an eighth") {
    client.send(large.substr(0, large.size() - 1));
    const auto header_size = large.size() - body.size();
    stepped_loop::turn();
    CHECK(env->turn_work_bytes <= large.size());
    const auto before = env->turn_work_bytes;
    client.send("x");
    stepped_loop::turn();
    CHECK(env->turn_work_bytes - before >= body.size() + 512);
    CHECK(env->turn_work_bytes - before < body.size() + 512 + header_size);
    handler.flush();
  }
  SECTION("the time that it waits is not the client's") {
    send(client, large.substr(0, large.size() - 2));
    use_up();
    send(client, "x");
    const auto limit_ns = 1'000'000 * env->settings.body_timeout_ms.count();
    for (int i = 0; i < 5; ++i) {
      use_up();
      client.send(large); // behind the rest of the first: much
      stepped_loop::turn();
      pass(limit_ns);
    }
    CHECK(handler.rejected.empty());
  }
  SECTION("who goes away meanwhile is not gone on with") {
    use_up();
    send(client, large);
    s->close();
    auto other = connect();
    turn();
    send(other, get("/"));
    CHECK(handler.requests.size() == 2);
  }
}

TEST_CASE("lane memory: who holds little finds room whatever the others do") {
  front_end_metrics metrics;
  lane_memory memory{1 << 20, metrics};
  for (int i = 0; i < 64; ++i)
    memory.opened();
  CHECK(metrics.memory_max_bytes.value() == 1 << 20);
  CHECK(memory.share_bytes() == 4'096);
  CHECK(memory.has_room(0, 0, 10 << 20)); // a single one, whatever it is
  CHECK(memory.has_room(700'000, 700'000, 86'432));
  CHECK_FALSE(memory.has_room(700'000, 0, 86'433));
  CHECK(memory.has_room(786'432, 0, 4'096));
  CHECK_FALSE(memory.has_room(786'432, 1, 4'096));
  CHECK_FALSE(memory.has_room((1 << 20) - 4'095, 0, 4'096));
  // All at once: the large take what they may, and each of the small its share.
  memory.change(memory_part::requests, 0, 786'432);
  CHECK_FALSE(memory.is_scarce());
  for (int i = 0; i < 64; ++i) {
    CHECK(memory.has_room(memory.total(), 0, memory.share_bytes()));
    memory.change(memory_part::bodies, 0, memory.share_bytes());
    CHECK(memory.is_scarce());
  }
  CHECK(memory.total() == 1 << 20);
  for (int i = 0; i < 64; ++i)
    memory.closed();
  CHECK(memory.share_bytes() == 1 << 18);
}
