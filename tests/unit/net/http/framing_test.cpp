// Where a request ends: what proxies and servers could read differently is refused, however the
// bytes arrive.
#include "tests/unit/net/http/session_support.hpp"

// A namespace of its own: the names would clash with those of other tests.
namespace penstock::framing_test {

namespace {

struct raw_request {
  std::string text;
  unsigned status = 0; ///< of the refusal; 0: taken
};

std::string with(const std::string& fields, const std::string& body = "", const char* version = "1",
                 const char* host = "Host: t\r\n") {
  return std::string{"POST /a HTTP/1."} + version + "\r\n" + host + fields + "\r\n" + body;
}

const std::string te = "Transfer-Encoding: chunked\r\n";
const std::string hello = "5\r\nhello\r\n0\r\n\r\n";

std::vector<raw_request> raw_requests() {
  std::vector<raw_request> rows{
      {with("Content-Length: 5\r\n", "hello"), 0},
      {with("Content-Length: 005\r\n", "hello"), 0},
      {with(te, hello), 0},
      {with("transfer-encoding:\tCHUNKED \r\n", hello), 0},
      {with(te, "5;a=\"\\\"\"\r\nhello\r\n0;b\r\nX: y\r\n\r\n"), 0},
      // A chunk's line.
      {with(te, "5;a=\"\n\"\r\nhello\r\n0\r\n\r\n"), 400},
      {with(te, "5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n"), 400},
      {with(te, "5;a=\"\\\n\"\r\nhello\r\n0\r\n\r\n"), 400},
      {with(te, "5\r\nhello\r\n0;a=\"\n\"\r\n\r\n"), 400},
      {with(te, "5\nhello\r\n0\r\n\r\n"), 400},
      {with(te, "5;\nxx\r\nhello\r\n0\r\n\r\n"), 400},
      {with(te, "5\rhello\r\n0\r\n\r\n"), 400},
      {with(te, "5\r\nhello\r\n0\n\n"), 400},
      {with(te, "5\r\nhello\n0\r\n\r\n"), 400},
      {with(te, "0x5\r\nhello\r\n0\r\n\r\n"), 400},
      {with(te, "+5\r\nhello\r\n0\r\n\r\n"), 400},
      {with(te, " 5\r\nhello\r\n0\r\n\r\n"), 400},
      {with(te, "5 \r\nhello\r\n0\r\n\r\n"), 400},
      {with(te, "10000000000000005\r\nhello\r\n0\r\n\r\n"), 400},
      {with(te, "5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n"), 400},
      {with(te, "5\r\nhello\r\n0\r\nX : a\r\n\r\n"), 400},
      {with(te, "5\r\nhello\r\n0\r\nContent-Length: 1\r\n\r\n"), 400},
      // Two ways to say where it ends, or one that is said oddly.
      {with("Content-Length: 5\r\n" + te, hello), 400},
      {with(te + "Content-Length: 5\r\n", hello), 400},
      {with("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), 400},
      {with("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"), 400},
      {with(te + te, hello), 400},
  };
  for (const auto* length : {"5, 5", "5,6", "5,", ",5", "+5", "-5", "5 5", "0x5", "5;a", "5.",
                             "5e0", "", "\"5\"", "99999999999999999999", "18446744073709551621"})
    rows.push_back({with(std::string{"Content-Length: "} + length + "\r\n", "hello"), 400});
  for (const auto* coding :
       {"gzip", "gzip, chunked", "chunked, gzip", "chunked, chunked", "identity", "chunked;a=b",
        "chunked,", ", chunked", "\"chunked\"", "xchunked", "chunked\x0b",
        "\x0b"
        "chunked",
        "", "chunked identity", "[chunked]", "chunke\xc7\xad"})
    rows.push_back({with(std::string{"Transfer-Encoding: "} + coding + "\r\n", hello), 400});
  for (const auto* field :
       {"Transfer-Encoding : chunked\r\n", "Transfer-Encoding\t: chunked\r\n",
        "Transfer-Encoding:\r\n chunked\r\n", " Transfer-Encoding: chunked\r\n",
        "X: a\r\n Transfer-Encoding: chunked\r\n", "X: a\rTransfer-Encoding: chunked\r\n",
        "X: a\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\n",
        "\x0bTransfer-Encoding: chunked\r\n", "Content-Length : 5\r\n", "X: a\x7f\r\n",
        "X\x80: a\r\n", "X(: a\r\n", "X\r\n", ": a\r\n", "Content-Length: 5\n"})
    rows.push_back({with(field, hello), 400});
  rows.push_back({with(std::string{"X: a\0b\r\n", 8}), 400});
  rows.push_back({with(std::string{"X\0: b\r\n", 7}), 400});
  // Hosts and versions.
  rows.push_back({with(te, hello, "1", ""), 400});
  rows.push_back({with(te, hello, "1", "Host: t\r\nHost: t\r\n"), 400});
  rows.push_back({with(te, hello, "1", "Host: t\r\nhost: u\r\n"), 400});
  rows.push_back({with(te, hello, "0"), 400});
  rows.push_back({with(te, hello, "0", ""), 400});
  rows.push_back({with("Content-Length: 5\r\n", "hello", "0", "Host: t\r\nHost: t\r\n"), 400});
  return rows;
}

} // namespace

TEST_CASE_METHOD(session_fixture,
                 "framing: a request is read one way, wherever its bytes are cut") {
  const std::string behind = "GET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n";
  for (const auto& [text, status] : raw_requests()) {
    INFO(text);
    const auto all = text + behind;
    for (std::size_t at = 1; at <= text.size(); ++at) {
      INFO("cut at " << at);
      handler.requests.clear();
      handler.rejected.clear();
      auto client = connect();
      send(client, std::string_view{all}.substr(0, at));
      if (client.send(all.substr(at)) > 0) turn();
      if (status == 0) {
        CHECK(handler.rejected.empty());
        REQUIRE(handler.requests.size() == 2);
        CHECK(handler.requests[0].body == "hello");
        CHECK(handler.requests[1].target == "/smuggled");
      } else {
        CHECK(handler.requests.empty());
        CHECK(handler.rejected == std::vector<unsigned>{status});
      }
      client.close();
      turn();
      s->close();
      turn();
    }
  }
}

TEST_CASE_METHOD(session_fixture,
                 "framing: what can't come right is refused without what follows") {
  for (const auto* begin : {"5\n", "5;a=\"\n", "5;a=\"b\r", "5;a=\"\r", "5\r\nhello\n",
                            "5\r\nhello6", "0\n", "0\r\n\n", "0\r\nX: a\n", "0\r\n ", "x", "\r"}) {
    INFO(begin);
    handler.rejected.clear();
    auto client = connect();
    send(client, with(te, begin));
    CHECK(handler.rejected == std::vector<unsigned>{400});
    client.close();
    turn();
    s->close();
    turn();
  }
}

} // namespace penstock::framing_test
