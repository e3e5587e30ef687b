// From bytes to a request: what is kept, where it lies, and what is refused.
#include "net/http/event_body.hpp"
#include "tests/unit/net/support.hpp"

#include <boost/beast/http/error.hpp>

#include <memory>

// A namespace of its own: the enumerators would clash with those of other tests.
namespace penstock::request_parser_test {

using enum request_field;
namespace http = boost::beast::http;

namespace {

bool lies_in(std::string_view inner, std::string_view outer) {
  return inner.data() >= outer.data() && inner.data() + inner.size() <= outer.data() + outer.size();
}

boost::beast::error_code error_of(const std::string& text) {
  const parsed_request request{text};
  return request.ec;
}

/// The request's body when it comes in pieces of `size`, each in memory of its own that is gone
/// when the next one comes, as the session's buffer is; the parser gets the header whole.
std::string body_in_pieces(const std::string& text, std::size_t size) {
  static const std::vector<std::string> none;
  request_parser parser{none, 16 << 10, 1 << 20};
  boost::beast::error_code ec;
  auto header = text.find("\r\n\r\n") + 4;
  std::string waiting; // what the parser left
  std::unique_ptr<std::string> piece;
  for (std::size_t at = 0; at < text.size() && !parser.is_done();) {
    auto end = at == 0 ? header : std::min(text.size(), at + size);
    piece = std::make_unique<std::string>(waiting + text.substr(at, end - at));
    piece->reserve(piece->size() + json_padding_bytes);
    auto used = parser.put(boost::asio::const_buffer{piece->data(), piece->size()}, ec);
    INFO(ec.message());
    REQUIRE((!ec || ec == http::error::need_more));
    if (at == 0) parser.keep_header(piece->data(), header);
    waiting = piece->substr(used);
    at = end;
  }
  REQUIRE(parser.is_done());
  CHECK(waiting.empty());
  CHECK(parser.head().target == "/v1/events");
  CHECK(parser.head()[host] == "t");
  CHECK(parser.head()[x_forwarded_for] == "a, b"); // joined of two lines, so not in the header
  // A body that came in one piece is only looked at, though the header came before it.
  CHECK(parser.buffered_bytes() == (lies_in(parser.body(), *piece) ? 0 : parser.body().size()));
  json_checker json{1 << 20}; // reads the padding behind the body
  CHECK(json.valid(parser.body()));
  return std::string{parser.body()};
}

constexpr auto forwarded_twice = "X-Forwarded-For: a\r\nX-Forwarded-For: b\r\n";

} // namespace

TEST_CASE("request parser: a request that comes whole is only looked at") {
  const parsed_request r{
      post("/v1/events?x=y", "hello", "Content-Type: text/plain\r\nX-Other: z\r\n")};
  CHECK_FALSE(r.ec);
  REQUIRE(r.parser.is_done());
  CHECK(r.head().method == request_method::post);
  CHECK(r.head().target == "/v1/events?x=y");
  CHECK(r.head()[content_type] == "text/plain");
  CHECK(r.head().has(host));
  CHECK_FALSE(r.head().has(cookie));
  CHECK(r.parser.body() == "hello");
  CHECK(r.parser.buffered_bytes() == 0);
  for (auto view : {r.head().target, r.head()[host], r.head()[content_type], r.parser.body()})
    CHECK(lies_in(view, r.text));
  CHECK_FALSE(r.parser.version_is_1_0());
  CHECK(r.parser.keep_alive());
}

TEST_CASE("request parser: methods and versions") {
  const auto method = [](const std::string& name) {
    const parsed_request r{name + " / HTTP/1.1\r\nHost: t\r\n\r\n"};
    REQUIRE(r.parser.is_done());
    return r.head().method;
  };
  CHECK(method("GET") == request_method::get);
  CHECK(method("HEAD") == request_method::head);
  CHECK(method("POST") == request_method::post);
  for (const auto* other : {"PUT", "BREW", "get", "OPTIONS", "M-SEARCH"})
    CHECK(method(other) == request_method::other);
  const parsed_request old{"GET / HTTP/1.0\r\n\r\n"}; // needs no Host
  CHECK(old.parser.is_done());
  CHECK(old.parser.version_is_1_0());
  CHECK_FALSE(old.parser.keep_alive());
  for (const auto* version : {"HTTP/2.0", "HTTP/0.9", "HTTP/1.2", "HTTP/x.1", "http/1.1", ""})
    CHECK(error_of(std::string{"GET / "} + version + "\r\nHost: t\r\n\r\n"));
}

TEST_CASE("request parser: every field that the ingest plane reads") {
  const std::vector<std::pair<const char*, request_field>> known{
      {"Content-Type", content_type},
      {"content-ENCODING", content_encoding},
      {"Authorization", authorization},
      {"X-Api-Key", x_api_key},
      {"Cookie", cookie},
      {"Referer", referer},
      {"X-Forwarded-For", x_forwarded_for},
      {"Forwarded", forwarded},
      {"traceparent", traceparent},
      {"TraceState", tracestate},
      {"Prefer", prefer},
      {"Expect", expect},
      {"X-One", custom_0},
      {"x-two", custom_1}};
  for (auto& [name, field] : known) {
    const parsed_request r{get("/", std::string{name} + ":  v w \t\r\n"), {"x-one", "x-two"}};
    INFO(name);
    REQUIRE(r.parser.is_done());
    CHECK(r.head()[field] == "v w");
    CHECK(r.head().present ==
          (1u << static_cast<unsigned>(host) | 1u << static_cast<unsigned>(field)));
    CHECK(r.head().repeated == 0);
  }
  const parsed_request empty{get("/", "Cookie:\r\n")};
  CHECK(empty.head().has(cookie));
  CHECK(empty.head()[cookie].empty());
}

TEST_CASE("request parser: fields that are repeated") {
  const parsed_request r{get("/", "Cookie: a\r\nForwarded: a\r\nCookie: b\r\nForwarded: b\r\n"
                                  "X-Forwarded-For: c\r\nForwarded: d\r\nX-Two: 1\r\nX-Two: 2\r\n"),
                         {"x-one", "x-two"}};
  REQUIRE(r.parser.is_done());
  CHECK(r.head()[cookie] == "b");
  CHECK(r.head()[forwarded] == "a\nb\nd"); // apart: one may leave a quote open
  CHECK(r.head()[x_forwarded_for] == "c");
  CHECK(r.head().repeated ==
        (1u << static_cast<unsigned>(cookie) | 1u << static_cast<unsigned>(forwarded) |
         1u << static_cast<unsigned>(custom_1)));
}

TEST_CASE("request parser: exactly one Host") {
  CHECK(error_of("GET / HTTP/1.1\r\n\r\n") == http::error::bad_field);
  CHECK(error_of("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n") == http::error::bad_field);
  CHECK(error_of("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n") == http::error::bad_field);
  CHECK_FALSE(error_of("GET / HTTP/1.1\r\nHost:\r\n\r\n"));
}

TEST_CASE("request parser: a field that goes on in the next line is refused") {
  // Beast gives its value in a buffer that does not live as long as a view of it would.
  for (const auto* folded :
       {"Cookie: one\r\n two\r\n", "Cookie: one\r\n\ttwo\r\n three\r\n", "Cookie:\r\n two\r\n",
        "X-Other: one\r\n two\r\n", "Cookie: one\r\n \r\n", "Cookie: \r\n \r\n"}) {
    INFO(folded);
    CHECK(error_of(get("/", folded)) == http::error::bad_obs_fold);
  }
  for (const auto* plain :
       {"Cookie:\r\n", "Cookie: \t \r\n", "Cookie:one\r\n", "Cookie: a:b \r\n"}) {
    INFO(plain);
    CHECK_FALSE(error_of(get("/", plain)));
  }
}

TEST_CASE("request parser: what could smuggle a request is refused") {
  for (const auto* fields : {"Content-Length: 1\r\nContent-Length: 2\r\n",
                             "Content-Length: 1, 2\r\n",
                             "Content-Length: -1\r\n",
                             "Content-Length: +1\r\n",
                             "Content-Length: 1x\r\n",
                             "Content-Length: 0x1\r\n",
                             "Content-Length: 99999999999999999999999\r\n",
                             "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
                             "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
                             "Transfer-Encoding: gzip\r\n",
                             "Transfer-Encoding: chunked, gzip\r\n",
                             "Transfer-Encoding: gzip, chunked\r\n",
                             "Transfer-Encoding: chunked, chunked\r\n",
                             "Transfer-Encoding: identity\r\n",
                             "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                             "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
                             "Transfer-Encoding:\r\n",
                             "Transfer-Encoding : chunked\r\n",
                             "Transfer-Encoding: \"chunked\"\r\n",
                             "Transfer-Encoding: xchunked\r\n",
                             "Transfer-Encoding: chunked;q=1\r\n",
                             "Content-Length : 1\r\n",
                             "Nonsense\r\n",
                             ": x\r\n",
                             "X-A: a\x07\r\n",
                             "X-A: a\rX-B: b\r\n"}) {
    const auto ec = error_of(std::string{"POST / HTTP/1.1\r\nHost: t\r\n"} + fields + "\r\nx");
    INFO(fields << ec.message());
    CHECK(ec);
    CHECK(ec != http::error::need_more);
  }
  CHECK(error_of("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n") ==
        http::error::bad_transfer_encoding);
  CHECK_FALSE(
      error_of("POST / HTTP/1.1\r\nHost: t\r\ntransfer-ENCODING: Chunked\r\n\r\n0\r\n\r\n"));
  CHECK(error_of("POST / HTTP/1.1\nHost: t\n\n"));
  CHECK(error_of(std::string{"GET /\0x HTTP/1.1\r\nHost: t\r\n\r\n", 29}));
  CHECK(error_of("GET /a b HTTP/1.1\r\nHost: t\r\n\r\n"));
}

TEST_CASE("request parser: limits, at the last size that is taken and at the first that is not") {
  const auto fields = [](std::size_t count) { // Host is one of them
    std::string out;
    for (std::size_t i = 1; i < count; ++i)
      out += "X-" + std::to_string(i) + ": y\r\n";
    return get("/", out);
  };
  CHECK_FALSE(error_of(fields(max_header_fields)));
  CHECK(error_of(fields(max_header_fields + 1)) == http::error::header_limit);
  const auto with_body = [](std::size_t size) {
    const parsed_request r{post("/", std::string(size, 'x')), {}, 1'000, 100};
    return r.ec;
  };
  CHECK_FALSE(with_body(100));
  CHECK(with_body(101) == http::error::body_limit);
  const auto chunks = [](const char* more) {
    const parsed_request r{
        "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n32\r\n" +
            std::string(50, 'x') + "\r\n" + more,
        {},
        1'000,
        100};
    return r.ec;
  };
  CHECK_FALSE(chunks(("32\r\n" + std::string(50, 'x') + "\r\n0\r\n\r\n").c_str()));
  CHECK(chunks("33\r\n") == http::error::body_limit);
  CHECK(chunks("ffffffffffffffff\r\n") == http::error::body_limit);
  for (const auto* bad : {"10000000000000000\r\n", "x\r\n", "-1\r\n", "\r\n", "0x1\r\n"})
    CHECK(chunks(bad));
  const parsed_request long_header{get("/", "X: " + std::string(2'000, 'x') + "\r\n"), {}, 1'000};
  CHECK(long_header.ec == http::error::header_limit);
}

TEST_CASE("request parser: what stands behind a request is left alone") {
  const auto first = post("/", "one");
  const parsed_request r{first + post("/", "two")};
  CHECK(r.used == first.size());
  CHECK(r.parser.body() == "one");
  const std::string chunked = "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
                              "3;ext=\"v\"\r\none\r\n0\r\n\r\n";
  const parsed_request c{chunked + first};
  CHECK(c.used == chunked.size());
  CHECK(c.parser.body() == "one");
}

TEST_CASE("request parser: trailers change nothing") {
  const parsed_request r{
      "POST / HTTP/1.1\r\nHost: t\r\nCookie: a\r\nTransfer-Encoding: chunked\r\n\r\n"
      "1\r\nx\r\n0\r\nCookie: b\r\nX-Api-Key: k\r\nHost: u\r\nX-One: c\r\n\r\n",
      {"x-one"}};
  REQUIRE(r.parser.is_done());
  CHECK_FALSE(r.ec);
  CHECK(r.head()[cookie] == "a");
  CHECK(r.head()[host] == "t");
  CHECK_FALSE(r.head().has(x_api_key));
  CHECK_FALSE(r.head().has(custom_0));
  CHECK(r.head().repeated == 0);
  std::string many = "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
  for (std::size_t i = 0; i < max_header_fields; ++i)
    many += "X-A: b\r\n";
  CHECK(error_of(many + "\r\n") == http::error::header_limit); // they count as fields
}

TEST_CASE("request parser: pieces of any size make the same request") {
  std::string body = "[\"";
  for (int i = 0; i < 40; ++i)
    body += "0123456789\\r\\n";
  body += "\"]";
  const auto whole = post("/v1/events", body, forwarded_twice);
  auto chunked = std::string{"POST /v1/events HTTP/1.1\r\nHost: t\r\n"} + forwarded_twice +
                 "Transfer-Encoding: chunked\r\n\r\n";
  for (std::size_t at = 0; at < body.size(); at += 15) {
    auto size = std::min<std::size_t>(15, body.size() - at);
    chunked += "0123456789abcdef"[size];
    chunked += "\r\n" + body.substr(at, size) + "\r\n";
  }
  chunked += "0\r\nX-Trailer: x\r\n\r\n";
  for (std::size_t size : {1u, 2u, 3u, 7u, 16u, 64u, 1'000u}) {
    INFO(size);
    CHECK(body_in_pieces(whole, size) == body);
    CHECK(body_in_pieces(chunked, size) == body);
  }
}

TEST_CASE("request parser: a large body in pieces always has its padding") {
  for (std::size_t size : {(16u << 10) - 100, (16u << 10) + 64, 100'000u}) {
    const auto body = "\"" + std::string(size, 'x') + "\"";
    CHECK(body_in_pieces(post("/v1/events", body, forwarded_twice), 4'096) == body);
  }
}

TEST_CASE("request parser: the fields of a CloudEvent, also when the header is copied") {
  static const std::vector<std::string> none;
  const auto text = post("/v1/events", "hello",
                         "CE-Id: 1\r\nce-source:  /x \r\nceremony: y\r\nce: z\r\n"
                         "Idempotency-Key: \"k\"\r\n");
  const auto header = text.find("\r\n\r\n") + 4;
  request_parser parser{none, 16 << 10, 1 << 20};
  boost::beast::error_code ec;
  {
    auto piece = std::make_unique<std::string>(text.substr(0, header));
    parser.put(boost::asio::const_buffer{piece->data(), piece->size()}, ec);
    parser.keep_header(piece->data(), header);
  }
  const auto& fields = parser.head().cloud_event_fields;
  REQUIRE(fields.size() == 2);
  CHECK(fields[0].name == "CE-Id");
  CHECK(fields[0].value == "1");
  CHECK(fields[1].name == "ce-source");
  CHECK(fields[1].value == "/x");
  CHECK(parser.head()[request_field::idempotency_key] == "\"k\"");
}

} // namespace penstock::request_parser_test
