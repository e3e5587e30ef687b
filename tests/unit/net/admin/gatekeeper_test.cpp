#include "net/admin/gatekeeper.hpp"

#include <boost/beast/http.hpp>
#include <catch2/catch.hpp>

using namespace penstock;
namespace http = boost::beast::http;

namespace {

using gate_fields = std::vector<std::pair<std::string, std::string>>;

admin_gatekeeper::header header_with(const gate_fields& fields, const std::string& target = "/",
                                     http::verb method = http::verb::get, unsigned version = 11) {
  http::request<http::empty_body> request{method, target, version};
  for (const auto& [name, value] : fields)
    request.insert(name, value);
  return request.base();
}

ip_address ip(const std::string& text) {
  return *parse_ip(text);
}

unsigned status_of(const std::optional<problem>& refusal) {
  return refusal ? refusal->status : 200;
}

unsigned asks(const gate_fields& fields, const std::vector<std::string>& hosts = {},
              const std::string& local = "127.0.0.1") {
  return status_of(admin_gatekeeper{hosts}.refuses(header_with(fields), ip(local)));
}

} // namespace

TEST_CASE("a request has one Host, but for HTTP/1.0", "[gatekeeper]") {
  CHECK(asks({}) == 400);
  CHECK(asks({{"Host", ""}}) == 400);
  CHECK(asks({{"Host", "localhost"}, {"Host", "localhost"}}) == 400);
  for (const auto* host :
       {"local host", "localhost:x", "localhost:99999", "u@localhost", "localhost/",
        "localhost, evil.example", "[::1", "::1", "[localhost]", "[fe80::1%lo]", "localhost:80:80",
        ".", "local\thost", "local_h\xc3\xb6st"}) {
    INFO(host);
    CHECK(asks({{"Host", host}}) == 400);
  }
  const admin_gatekeeper gate{{}};
  const auto old = [&](const gate_fields& fields) {
    return status_of(gate.refuses(header_with(fields, "/", http::verb::get, 10), ip("127.0.0.1")));
  };
  CHECK(old({}) == 200);
  CHECK(old({{"Host", "evil.example"}}) == 421);
  CHECK(old({{"Origin", "http://localhost"}}) == 403); // it has no origin of its own
}

TEST_CASE("a Host is a loopback address, the socket's own, or configured", "[gatekeeper]") {
  for (const auto* host : {"localhost", "LocalHost", "localhost.", "localhost:1",
                           "localhost:", "127.0.0.1", "127.0.0.1:8081", "127.255.0.3:9", "[::1]",
                           "[::1]:8081", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]:80"}) {
    INFO(host);
    CHECK(asks({{"Host", host}}) == 200);
  }
  for (const auto* host :
       {"evil.example", "evil.example:8081", "localhost.evil.example", "127.0.0.1.evil.example",
        "10.0.0.5", "10.0.0.5:8081", "0.0.0.0:8081", "127.1", "0177.0.0.1", "2130706433", "[::2]",
        "[::]", "128.0.0.1", "evil.localhost", "localhost.."}) {
    INFO(host);
    CHECK(asks({{"Host", host}}) == 421);
  }
  CHECK(asks({{"Host", "10.0.0.5:1234"}}, {}, "10.0.0.5") == 200);
  CHECK(asks({{"Host", "10.0.0.6:1234"}}, {}, "10.0.0.5") == 421);
  CHECK(asks({{"Host", "[fd00::1]"}}, {}, "fd00::1") == 200);
  const std::vector<std::string> hosts{"Ops.Example", "10.0.0.7:9000", "fd00::7",
                                       "proxy.example:443"};
  CHECK(asks({{"Host", "ops.example"}}, hosts) == 200);
  CHECK(asks({{"Host", "ops.example.:77"}}, hosts) == 200);
  CHECK(asks({{"Host", "x.ops.example"}}, hosts) == 421);
  CHECK(asks({{"Host", "10.0.0.7:9000"}}, hosts) == 200);
  CHECK(asks({{"Host", "10.0.0.7:9001"}}, hosts) == 421);
  CHECK(asks({{"Host", "10.0.0.7"}}, hosts) == 421);
  CHECK(asks({{"Host", "[fd00::7]:1"}}, hosts) == 200);
  CHECK(asks({{"Host", "proxy.example"}}, hosts) == 200);
  CHECK(asks({{"Host", "proxy.example:443"}}, hosts) == 200);
  CHECK(asks({{"Host", "proxy.example:80"}}, hosts) == 421);
}

TEST_CASE("the host of an absolute target counts, too", "[gatekeeper]") {
  const admin_gatekeeper gate{{}};
  const auto asks_at = [&](const std::string& target, const gate_fields& fields) {
    return status_of(gate.refuses(header_with(fields, target), ip("127.0.0.1")));
  };
  CHECK(asks_at("http://localhost:8081/livez", {{"Host", "localhost:8081"}}) == 200);
  CHECK(asks_at("http://evil.example/livez", {{"Host", "localhost:8081"}}) == 421);
  CHECK(asks_at("http://localhost/livez", {{"Host", "evil.example"}}) == 421);
  CHECK(asks_at("http:///livez", {{"Host", "localhost"}}) == 400);
}

TEST_CASE("only the plane's own pages may ask", "[gatekeeper]") {
  const auto from = [](const std::string& host, const std::string& origin) {
    return asks({{"Host", host}, {"Origin", origin}}, {"ops.example"});
  };
  CHECK(from("localhost:8081", "http://localhost:8081") == 200);
  CHECK(from("127.0.0.1:8081", "http://127.0.0.1:8081") == 200);
  CHECK(from("[::1]:8081", "http://[::1]:8081") == 200);
  CHECK(from("localhost", "http://localhost") == 200);
  CHECK(from("localhost", "http://localhost:80") == 200);
  CHECK(from("ops.example", "http://ops.example") == 200);
  for (const auto* origin :
       {"http://127.0.0.1:1", "null", "", "http://localhost:8081", "https://127.0.0.1:8081",
        "http://127.0.0.1", "http://evil.example", "http://evil.example:8081", "127.0.0.1:8081",
        "http://127.0.0.1:8081/", "http://127.0.0.1:8081 http://evil.example",
        "http://127.0.0.1:8081@evil.example", "file://", "http://127.0.0.1:8081.evil.example"}) {
    INFO(origin);
    CHECK(from("127.0.0.1:8081", origin) == 403);
  }
  CHECK(from("ops.example", "http://localhost") == 403);
  CHECK(asks({{"Host", "localhost"}, {"Origin", "http://localhost"}, {"Origin", "null"}}) == 403);
  CHECK(asks({{"Host", "ops.example"},
              {"Origin", "https://ops.example"},
              {"X-Forwarded-Proto", "https"}},
             {"ops.example"}) == 200);
  CHECK(asks({{"Host", "ops.example"}, {"Origin", "https://ops.example"}}, {"ops.example"}) == 403);
}

TEST_CASE("what browsers say of the site, and preflights", "[gatekeeper]") {
  const auto from = [](const std::string& site) {
    return asks({{"Host", "localhost"}, {"Sec-Fetch-Site", site}});
  };
  CHECK(from("same-origin") == 200);
  CHECK(from("none") == 200);
  for (const auto* site : {"same-site", "cross-site", "Cross-Site", "", "anything"})
    CHECK(from(site) == 403);
  CHECK(
      asks({{"Host", "localhost"}, {"sec-fetch-site", "none"}, {"Sec-Fetch-Site", "same-site"}}) ==
      403);
  CHECK(asks({{"Host", "localhost"}, {"Access-Control-Request-Method", "POST"}}) == 403);
  CHECK(
      asks({{"Host", "localhost"}, {"Authorization", "Bearer a"}, {"Authorization", "Bearer b"}}) ==
      400);
}

TEST_CASE("what is sent is JSON, or a form where one is asked for", "[gatekeeper]") {
  const auto type = [](const gate_fields& fields, bool has_body, bool form = false,
                       http::verb method = http::verb::post) {
    return status_of(refuses_type(header_with(fields, "/", method), has_body, form));
  };
  const std::string name = "Content-Type";
  for (const auto* good : {"application/json", "Application/JSON",
                           "application/json; charset=utf-8", " application/json ;x=y"})
    CHECK(type({{name, good}}, true) == 200);
  for (const auto* bad : {"text/plain", "text/plain; application/json", "application/jsonp",
                          "multipart/form-data; boundary=x", "application/x-www-form-urlencoded",
                          "application/json, text/plain", ""}) {
    INFO(bad);
    CHECK(type({{name, bad}}, true) == 415);
  }
  CHECK(type({}, true) == 415);
  CHECK(type({}, false) == 200);
  // A form without fields is still one.
  CHECK(type({{name, "application/x-www-form-urlencoded"}}, false) == 415);
  CHECK(type({{name, "text/plain"}}, false, false, http::verb::get) == 200);
  CHECK(type({{name, "text/plain"}}, true, false, http::verb::get) == 415);
  CHECK(type({{name, "text/plain"}}, true, false, http::verb::delete_) == 415);
  CHECK(type({{name, "application/x-www-form-urlencoded"}}, true, true) == 200);
  CHECK(type({{name, "application/json"}}, true, true) == 415);
  CHECK(type({}, true, true) == 415);
}

TEST_CASE("where a body ends is never guessed", "[gatekeeper]") {
  const auto framing = [](const gate_fields& fields, unsigned version = 11) {
    return status_of(refuses_framing(header_with(fields, "/", http::verb::post, version)));
  };
  CHECK(framing({}) == 200);
  CHECK(framing({{"Transfer-Encoding", "chunked"}}) == 200);
  CHECK(framing({{"Transfer-Encoding", "Chunked"}}) == 200);
  CHECK(framing({{"Transfer-Encoding", "gzip"}}) == 501);
  CHECK(framing({{"Transfer-Encoding", "gzip, chunked"}}) == 501);
  CHECK(framing({{"Transfer-Encoding", "gzip"}, {"Transfer-Encoding", "chunked"}}) == 501);
  CHECK(framing({{"Transfer-Encoding", "chunked"}}, 10) == 400);
}

TEST_CASE("entries of admin.hosts", "[gatekeeper]") {
  for (const auto* good : {"localhost", "a.example", "a.example:8081", "10.0.0.5", "10.0.0.5:1",
                           "::1", "fd00::1", "[fd00::1]", "[fd00::1]:8081", "a_b"})
    CHECK(parse_admin_host(good));
  for (const auto* bad : {"", "http://a.example", "a.example/", "*.example", "a.example:", "a:b",
                          "a b", ":8081", "[fd00::1", "a:1:2", "*"}) {
    INFO(bad);
    CHECK_FALSE(parse_admin_host(bad));
  }
  CHECK_FALSE(parse_admin_host(std::string(max_host_chars + 1, 'a')));
}
