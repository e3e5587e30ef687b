// One connection: what comes in, and in which order and how much goes out.
#include "net/http/front_end_metrics.hpp"
#include "tests/unit/net/http/session_support.hpp"

using namespace penstock;

namespace {

std::string chunked(std::string_view chunks) {
  return std::string{"POST /c HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"}.append(
      chunks);
}

} // namespace

TEST_CASE_METHOD(session_fixture, "session: answers leave in the order of the requests") {
  auto client = connect();
  send(client, get("/1") + post("/2", "two") + get("/3"));
  REQUIRE(handler.requests.size() == 3);
  CHECK(handler.requests[1].body == "two");
  answer(2, "C");
  answer(1, "B");
  CHECK(handler.to_flush.empty()); // there is nothing to send yet
  handler.flush();
  CHECK(client.read().empty());
  answer(0, "A");
  CHECK(handler.to_flush.size() == 1); // told once a flush
  handler.flush();
  CHECK(client.read() == "ABC");
  send(client, get("/4"));
  answer(3, "D");
  handler.flush();
  CHECK(client.read() == "ABCD");
  CHECK_FALSE(client.closed());
}

TEST_CASE_METHOD(session_fixture, "session: numbers of exchanges go on while some are under way") {
  auto client = connect();
  std::string expected;
  send(client, get("/0"));
  for (std::size_t i = 1; i < 40; ++i) { // there is always one older that waits
    send(client, get("/" + std::to_string(i)));
    REQUIRE(handler.requests.size() == i + 1);
    answer(i - 1, std::to_string(i - 1) + ";");
    expected += std::to_string(i - 1) + ";";
    handler.flush();
  }
  CHECK(client.read() == expected);
}

TEST_CASE_METHOD(session_fixture, "session: no more requests under way than max_pipeline") {
  auto client = connect();
  std::string ten;
  for (int i = 0; i < 10; ++i)
    ten += post("/" + std::to_string(i), "body" + std::to_string(i));
  send(client, ten);
  REQUIRE(handler.requests.size() == 4);
  turn();
  CHECK(handler.requests.size() == 4);
  answer(1, "1");
  handler.flush();
  turn();
  CHECK(handler.requests.size() == 4); // the oldest is not answered, so nothing has left
  answer(0, "0");
  handler.flush();
  CHECK(handler.requests.size() == 6);
  for (std::size_t i = 2; i < 10; ++i) {
    REQUIRE(handler.requests.size() > i);
    answer(i, std::to_string(i));
    handler.flush();
  }
  CHECK(client.read() == "0123456789");
  for (std::size_t i = 0; i < 10; ++i)
    CHECK(handler.requests[i].body == "body" + std::to_string(i));
}

TEST_CASE_METHOD(session_fixture,
                 "session: answers given at once are bounded by the pipeline too") {
  handler.at_once = std::string(1'000, 'a');
  auto client = connect(4'096);
  std::string many;
  for (int i = 0; i < 500; ++i)
    many += get("/");
  REQUIRE(client.send(many) == many.size());
  stepped_loop::turn();
  CHECK(handler.requests.size() == 4); // and not all that one receive brought
  std::size_t before = handler.requests.size();
  for (int round = 0; round < 2'000 && client.read().size() < 500'000; ++round) {
    handler.flush();
    turn();
    // What the socket has taken and the client has not read, and one pipeline.
    CHECK(handler.requests.size() - before <= 4 + 4 + (64 << 10) / 1'000);
    before = handler.requests.size();
  }
  CHECK(handler.requests.size() == 500);
  CHECK(client.read().size() == 500'000);
}

TEST_CASE_METHOD(session_fixture, "session: nothing is read while an answer is unsent") {
  auto client = connect(4'096);
  send(client, get("/1"));
  answer(0, std::string(1 << 20, 'a'));
  handler.flush();
  send(client, get("/2"));
  CHECK(handler.requests.size() == 1);
  for (int round = 0; round < 1'000 && client.read().size() < (1 << 20); ++round)
    turn();
  CHECK(client.read().size() == (1 << 20));
  turn();
  CHECK(handler.requests.size() == 2);
}

TEST_CASE_METHOD(session_fixture, "session: bytes may come one at a time") {
  auto client = connect();
  const std::string three =
      "\r\n\n" + post("/1", "one") + "\r\n" + get("/2") + chunked("5\r\nthree\r\n0\r\n\r\n");
  for (char byte : three)
    send(client, {&byte, 1});
  REQUIRE(handler.requests.size() == 3);
  CHECK(handler.requests[0].body == "one");
  CHECK(handler.requests[1].target == "/2");
  CHECK(handler.requests[2].body == "three");
  CHECK(handler.rejected.empty());
  CHECK(body_bytes() == 0);
}

TEST_CASE_METHOD(session_fixture, "session: cut anywhere, three requests are the same") {
  const std::string three =
      post("/1", "\"one\"") + chunked("3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n") + post("/3", "{}");
  for (std::size_t cut = 1; cut < three.size(); ++cut) {
    INFO(cut);
    handler.requests.clear();
    auto client = connect();
    send(client, std::string_view{three}.substr(0, cut));
    send(client, std::string_view{three}.substr(cut));
    REQUIRE(handler.requests.size() == 3);
    CHECK(handler.requests[0].body == "\"one\"");
    CHECK(handler.requests[1].body == "abcdef");
    CHECK(handler.requests[2].body == "{}");
    CHECK(body_bytes() == 0);
    s->close();
  }
}

TEST_CASE_METHOD(session_fixture, "session: a body that fills the receive buffer to its end") {
  env->settings.max_body_bytes = 1 << 20;
  auto client = connect(1 << 20);
  const auto shell = post("/", std::string(10'000, 'x')).size() - 10'000;
  const std::string body(session_environment::receive_bytes - shell, 'x');
  send(client, post("/", body));
  REQUIRE(handler.requests.size() == 1);
  CHECK(handler.requests[0].body == body);
  // And one that comes behind it in the same receive, in two parts.
  const auto two = post("/", body) + post("/", body);
  REQUIRE(client.send(two) == two.size());
  turn();
  turn();
  REQUIRE(handler.requests.size() == 3);
  CHECK(handler.requests[2].body == body);
}

TEST_CASE_METHOD(session_fixture, "session: a header that is too large, whole or never ending") {
  for (const auto& text :
       {get("/", "X: " + std::string(1'000, 'x') + "\r\n"), "GET /" + std::string(1'000, 'x'),
        "GET / HTTP/1.1\r\nX: " + std::string(1'000, 'x')}) {
    handler.rejected.clear();
    auto client = connect();
    send(client, text);
    CHECK(handler.rejected == std::vector<unsigned>{431});
    CHECK(client.read() == "bad431");
    client.close();
    turn();
    CHECK_FALSE(s->is_open());
  }
  auto client = connect();
  send(client, get("/", "X: " + std::string(900, 'x') + "\r\n"));
  CHECK(handler.requests.size() == 1);
}

TEST_CASE_METHOD(session_fixture, "session: a header that grows slowly is refused at its bound") {
  auto client = connect();
  send(client, "GET / HTTP/1.1\r\nX: ");
  std::size_t sent = 19;
  for (; handler.rejected.empty() && sent < 5'000; sent += 100)
    send(client, std::string(100, 'x'));
  CHECK(handler.rejected == std::vector<unsigned>{431});
  CHECK(sent <= 1'000 + 100);
}

TEST_CASE_METHOD(session_fixture,
                 "session: a chunk's line and trailers are bounded like a header") {
  for (const auto* begin : {"1;", "1\r\nx\r\n2;x=\"", "1\r\nx\r\n0\r\nX: ", "1\r\nx\r\n0;"}) {
    INFO(begin);
    handler.rejected.clear();
    auto client = connect();
    send(client, chunked(begin));
    std::size_t sent = 0;
    for (; handler.rejected.empty() && sent < 10'000; sent += 100)
      send(client, std::string(100, 'x'));
    CHECK(handler.rejected == std::vector<unsigned>{431});
    CHECK(sent <= 1'100);
    client.close();
    turn();
  }
  // One that comes with the header, and one that is just not too long.
  auto client = connect();
  send(client, chunked("1\r\nx\r\n0\r\nX: " + std::string(2'000, 'x')));
  CHECK(handler.rejected.size() == 2);
  client.close();
  turn();
  auto other = connect();
  send(other, chunked("1;" + std::string(900, 'x')));
  send(other, "\r\ny\r\n0\r\nX: " + std::string(900, 'x'));
  send(other, "\r\n\r\n" + get("/" + std::string(900, 'x')));
  CHECK(handler.rejected.size() == 2);
  CHECK(handler.requests.size() == 2);
}

TEST_CASE_METHOD(session_fixture,
                 "session: what can't become a request is refused before it ends") {
  for (const auto* text :
       {"P@ST", "GET / HTTP/3.0", "\x16\x03\x01\x02", "GET / HTTP/1.1\r\nHost : x"}) {
    INFO(text);
    handler.rejected.clear();
    auto client = connect();
    send(client, text);
    CHECK(handler.rejected == std::vector<unsigned>{400});
    CHECK(handler.requests.empty());
    client.close();
    turn();
  }
}

TEST_CASE_METHOD(session_fixture, "session: after a bad request nothing more is taken") {
  auto client = connect();
  send(client, get("/1") + "BAD\r\n\r\n" + get("/2"));
  CHECK(handler.requests.size() == 1);
  CHECK(handler.rejected == std::vector<unsigned>{400});
  CHECK(client.read().empty()); // the answer to the first comes first
  answer(0, "A");
  handler.flush();
  CHECK(client.read() == "Abad400");
  CHECK(client.closed()); // our side; we read on until the client has seen it
  CHECK(s->is_open());
  send(client, get("/3"));
  CHECK(handler.requests.size() == 1);
  client.close();
  turn();
  CHECK_FALSE(s->is_open());
  CHECK(handler.closed == 1);
}

TEST_CASE_METHOD(session_fixture, "session: bodies beyond the limit") {
  for (const auto& text :
       {post("/", std::string(100'001, 'x')).substr(0, 200), chunked("186A1\r\n"),
        chunked("1000\r\n" + std::string(0x1000, 'x') + "\r\n176A1\r\n")}) {
    handler.rejected.clear();
    auto client = connect();
    send(client, text);
    CHECK(handler.rejected == std::vector<unsigned>{413});
    CHECK(body_bytes() == 0);
    client.close();
    turn();
  }
}

TEST_CASE_METHOD(session_fixture,
                 "session: unfinished bodies are counted, and refused beyond the bound") {
  limit_memory(13'333); // 10,000 but for the reserve of those who hold little
  auto client = connect();
  const auto text = post("/", std::string(50'000, 'x'));
  const auto header = text.size() - 50'000;
  send(client, text.substr(0, header + 20'000));
  CHECK(body_bytes() == 20'000);
  send(client, "x");
  CHECK(handler.rejected.empty()); // alone it may be larger than the share
  others(100);                     // another connection's
  send(client, "x");
  CHECK(handler.rejected == std::vector<unsigned>{503});
  CHECK(memory->total() == 100 + memory->of(memory_part::answers));
  others(-100);
  client.close();
  turn();
  auto second = connect();
  send(second, text.substr(0, header + 5'000));
  others(4'000);
  send(second, std::string(1'000, 'x'));
  CHECK(handler.rejected.size() == 1); // 4,000 and 6,000 fit to the byte
  send(second, "x");
  CHECK(handler.rejected.size() == 2);
  second.close();
  turn();
  others(-4'000);
  auto third = connect();
  send(third, text.substr(0, header + 5'000));
  CHECK(body_bytes() == 5'000);
  s->close();
  CHECK(body_bytes() == 0);
}

TEST_CASE_METHOD(session_fixture, "session: a first line that ends too early is refused at once") {
  auto client = connect();
  send(client, "GET / \r\n\r\n");
  CHECK(handler.rejected == std::vector<unsigned>{400});
}
