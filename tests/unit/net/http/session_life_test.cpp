// How a connection ends: deadlines, half-closing, errors, drains; and 100 Continue.
#include "net/http/front_end_metrics.hpp"
#include "tests/unit/net/http/session_support.hpp"

using namespace penstock;

namespace {

const std::string waiting_body = "POST /b HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\n";

} // namespace

TEST_CASE_METHOD(session_fixture,
                 "deadlines: a new connection gets the header's time for its first byte") {
  auto client = connect();
  pass(10'000 * ms - 1);
  CHECK(s->is_open());
  pass(1);
  CHECK(client.closed());
  CHECK(client.received.empty());
  CHECK(timeouts(timeout_kind::idle) == 1);
  CHECK(handler.closed == 1);
}

TEST_CASE_METHOD(session_fixture, "deadlines: from a header's first byte to its end") {
  auto client = connect();
  pass(9'000 * ms);
  send(client, "GET /");
  pass(9'000 * ms);
  send(client, "x"); // more bytes move nothing
  pass(1'000 * ms - 1);
  CHECK(handler.rejected.empty());
  pass(1);
  CHECK(client.read() == "bad408");
  CHECK(timeouts(timeout_kind::header) == 1);
}

TEST_CASE_METHOD(session_fixture, "deadlines: blank lines are no first byte") {
  auto client = connect();
  pass(9'000 * ms);
  send(client, "\r\n");
  pass(1'000 * ms);
  CHECK(client.closed());
  CHECK(timeouts(timeout_kind::idle) == 1);
}

TEST_CASE_METHOD(session_fixture, "deadlines: from the header's end to the body's") {
  auto client = connect();
  pass(9'000 * ms);
  send(client, waiting_body);
  pass(29'000 * ms);
  send(client, "abc");
  pass(1'000 * ms - 1);
  CHECK(handler.rejected.empty());
  pass(1);
  CHECK(client.read() == "bad408");
  CHECK(timeouts(timeout_kind::body) == 1);
  CHECK(body_bytes() == 0);
}

TEST_CASE_METHOD(session_fixture, "deadlines: between requests") {
  auto client = connect();
  send(client, get("/"));
  pass(1'000'000 * ms); // it is we who are late
  CHECK(s->is_open());
  answer(0, "A");
  handler.flush();
  pass(75'000 * ms - 1);
  CHECK(s->is_open());
  pass(1);
  CHECK(client.closed());
  CHECK(client.received == "A");
  CHECK(timeouts(timeout_kind::idle) == 1);
  CHECK(timeouts(timeout_kind::header) + timeouts(timeout_kind::body) == 0);
}

TEST_CASE_METHOD(session_fixture,
                 "deadlines: a request behind one that waits for us gets its time anew") {
  auto client = connect();
  send(client, get("/1") + "GET /2");
  pass(1'000'000 * ms);
  answer(0, "A");
  handler.flush();
  pass(10'000 * ms - 1);
  CHECK(handler.rejected.empty());
  pass(1);
  CHECK(client.read() == "Abad408");
  CHECK(timeouts(timeout_kind::header) == 1);
}

TEST_CASE_METHOD(session_fixture, "deadlines: reading a part of an answer is progress") {
  auto client = connect(4'096);
  send(client, get("/"));
  answer(0, std::string(1 << 20, 'a'));
  handler.flush();
  pass(29'000 * ms);
  client.read();
  turn();
  pass(30'000 * ms - 1);
  CHECK(s->is_open());
  pass(1);
  CHECK_FALSE(s->is_open());
  CHECK(timeouts(timeout_kind::write) == 1);
}

TEST_CASE_METHOD(session_fixture,
                 "deadlines: an answer that is never read ends in a write timeout") {
  auto client = connect(4'096);
  send(client, get("/"));
  pass(5'000 * ms);
  answer(0, std::string(1 << 20, 'a'));
  handler.flush();
  pass(30'000 * ms - 1);
  CHECK(s->is_open());
  pass(1);
  CHECK_FALSE(s->is_open());
  CHECK(timeouts(timeout_kind::write) == 1);
}

TEST_CASE_METHOD(session_fixture, "half-closed: the answers under way are the last") {
  auto client = connect();
  send(client, get("/1") + get("/2"));
  client.end_input();
  turn();
  CHECK(s->is_open());
  answer(1, "B");
  answer(0, "A");
  handler.flush();
  CHECK(client.read() == "AB");
  CHECK(client.closed());
  CHECK_FALSE(s->is_open());
}

TEST_CASE_METHOD(session_fixture,
                 "half-closed together with the request, and with a full pipeline behind it") {
  auto client = connect();
  std::string many;
  for (int i = 0; i < 9; ++i)
    many += get("/");
  client.send(many);
  client.end_input();
  for (std::size_t i = 0; i < 9; ++i) {
    turn();
    REQUIRE(handler.requests.size() > i);
    answer(i, "A");
    handler.flush();
  }
  turn();
  CHECK(client.read() == "AAAAAAAAA");
  CHECK(client.closed());
  CHECK(handler.rejected.empty());
}

TEST_CASE_METHOD(session_fixture,
                 "half-closed: idle, the connection ends; within a request it is refused") {
  auto idle = connect();
  idle.end_input();
  turn();
  CHECK(idle.closed());
  CHECK_FALSE(s->is_open());
  for (const auto& part : {std::string{"GET / HTT"}, waiting_body, waiting_body + "ab"}) {
    handler.rejected.clear();
    auto client = connect();
    send(client, part);
    client.end_input();
    turn();
    CHECK(handler.rejected == std::vector<unsigned>{400});
    CHECK(client.read() == "bad400");
    CHECK_FALSE(s->is_open()); // nothing can come any more: no lingering
  }
}

TEST_CASE_METHOD(session_fixture,
                 "closing after an error: what comes is discarded, to a bound in time") {
  auto client = connect();
  send(client, "BAD\r\n\r\n");
  CHECK(client.read() == "bad400");
  for (int i = 0; i < 10; ++i)
    send(client, std::string(10'000, 'x'));
  CHECK(s->is_open());
  pass(2'000 * ms - 1);
  CHECK(s->is_open());
  pass(1);
  CHECK_FALSE(s->is_open());
  for (auto kind :
       {timeout_kind::header, timeout_kind::body, timeout_kind::idle, timeout_kind::write})
    CHECK(timeouts(kind) == 0);
}

TEST_CASE_METHOD(session_fixture, "closing after an error: and to a bound in bytes") {
  auto client = connect();
  send(client, "BAD\r\n\r\n");
  std::size_t sent = 0;
  const std::string piece(50'000, 'x');
  while (s->is_open() && sent < (10 << 20)) {
    sent += client.send(piece);
    turn();
  }
  CHECK_FALSE(s->is_open());
  CHECK(sent >= (4 << 20));
  CHECK(sent <= (4 << 20) + 2 * session_environment::receive_bytes);
}

TEST_CASE_METHOD(session_fixture, "a request may ask for the connection's end") {
  auto client = connect();
  send(client, get("/1", "Connection: close\r\n") + get("/2"));
  CHECK(handler.requests.size() == 1);
  answer(0, "A");
  handler.flush();
  CHECK(client.read() == "A");
  CHECK(client.closed());
  CHECK_FALSE(s->is_open());
}

TEST_CASE_METHOD(session_fixture, "drain: idle connections end, others after their answers") {
  auto idle = connect();
  s->drain();
  CHECK(idle.closed());
  auto client = connect();
  CHECK_FALSE(s->draining()); // a session that is used again starts anew
  send(client, get("/1") + get("/2"));
  s->drain();
  answer(0, "A");
  handler.flush();
  CHECK(s->is_open());
  answer(1, "B");
  handler.flush();
  CHECK(client.read() == "AB");
  CHECK(client.closed());
}

TEST_CASE_METHOD(session_fixture, "drain: a request that has begun is served, as the last") {
  auto client = connect();
  send(client, "GET /1 HTTP/1.1\r\n");
  s->drain();
  send(client, "Host: t\r\n\r\n" + get("/2"));
  REQUIRE(handler.requests.size() == 1);
  answer(0, "A");
  handler.flush();
  CHECK(client.read() == "A");
  CHECK(client.closed());
}

TEST_CASE_METHOD(session_fixture, "drain: so is one that has begun behind an answered one") {
  auto client = connect();
  send(client, get("/1") + "GET /2 HTTP/1.1\r\n");
  s->drain();
  answer(0, "A");
  handler.flush();
  CHECK(client.read() == "A");
  CHECK(s->is_open());
  send(client, "Host: t\r\n\r\n");
  REQUIRE(handler.requests.size() == 2);
  answer(1, "B");
  handler.flush();
  CHECK(client.read() == "AB");
  CHECK(client.closed());
}

TEST_CASE_METHOD(session_fixture,
                 "a connection that is gone: later answers and events mean nothing") {
  auto client = connect();
  send(client, get("/0"));
  answer(0, "unread");
  handler.flush();
  send(client, get("/1"));
  const auto generation = s->generation();
  client.close(); // with an unread answer: a reset, not the end of input
  turn();
  CHECK_FALSE(s->is_open());
  CHECK(s->generation() != generation);
  s->on_io(~0u);
  s->flush();
  s->check_deadline(loop.now_ns() + 1'000'000'000 * ms);
  s->drain();
  s->close();
  CHECK(handler.closed == 1);
  auto next = connect();
  send(next, get("/2"));
  CHECK(handler.requests.back().exchange == 0); // numbers start anew
  answer(2, "B");
  handler.flush();
  CHECK(next.read() == "B");
}

TEST_CASE_METHOD(session_fixture, "a connection that is closed looks half-closed until we write") {
  auto client = connect();
  send(client, get("/1"));
  client.close();
  turn();
  CHECK(s->is_open());
  answer(0, "A");
  handler.flush();
  CHECK_FALSE(s->is_open());
  CHECK(handler.closed == 1);
}

TEST_CASE_METHOD(session_fixture, "a session that is destroyed closes its socket") {
  auto client = connect();
  s.reset();
  CHECK(client.closed());
}

TEST_CASE_METHOD(session_fixture, "100 Continue: for a body that has not come") {
  const auto header = [](const char* version, const char* expect) {
    return std::string{"POST / HTTP/"} + version +
           "\r\nHost: t\r\nContent-Length: 2\r\nExpect: " + expect + "\r\n\r\n";
  };
  auto client = connect();
  send(client, header("1.1", "100-Continue"));
  CHECK(client.read() == "HTTP/1.1 100 Continue\r\n\r\n");
  send(client, "ab");
  REQUIRE(handler.requests.size() == 1);
  CHECK(handler.requests[0].body == "ab");
  answer(0, "A");
  handler.flush();
  CHECK(client.read() == "HTTP/1.1 100 Continue\r\n\r\nA");
  client.received.clear();
  send(client, header("1.1", "100-continue") + "cd"); // the body is here
  CHECK(client.read().empty());
  CHECK(handler.requests.size() == 2);
  send(client, header("1.1", "100-continue")); // another answer must come first
  CHECK(client.read().empty());
  s->close();
  auto old = connect();
  send(old, header("1.0", "100-continue")); // HTTP/1.0 knows no interim answers
  CHECK(old.read().empty());
  send(old, "ef");
  CHECK(handler.requests.size() == 3);
  s->close();
  auto other = connect();
  send(other, header("1.1", "a miracle"));
  CHECK(other.read().empty());
}
