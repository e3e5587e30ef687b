// Who is calling, from whole requests.
#include "net/clients/identity_settings.hpp"
#include "net/http/forwarded.hpp"
#include "net/http/http_settings.hpp"
#include "tests/unit/net/support.hpp"

#include <optional>

// A namespace of its own: the enumerators would clash with those of other tests.
namespace penstock::identity_test {

using enum identity_source;

namespace {

constexpr auto known = identity::outcome::known;
constexpr auto unknown_key = identity::outcome::unknown_key;
constexpr auto malformed = identity::outcome::malformed;

ip_address ip_of(std::string_view text) {
  auto address = parse_ip(text);
  INFO(text);
  REQUIRE(address);
  return *address;
}

identifier make(std::vector<identity_rule> order, std::vector<std::string> trusted = {},
                std::string_view secret = "s") {
  identity_settings settings;
  settings.order = std::move(order);
  return identifier{settings, trusted, secret};
}

identity ask(const identifier& who, std::string_view fields, std::string_view peer = "192.0.2.1",
             std::string_view target = "/v1/events") {
  const parsed_request request{post(target, "", fields), who.custom_fields()};
  INFO(fields << request.ec.message());
  REQUIRE(request.parser.is_done());
  auto address = ip_of(peer);
  return who.identify(request.head(), address, who.trusts(address), who.client_of(address));
}

/// The client that a trusted proxy, 10.0.0.1, is asking for; nothing when it is malformed.
std::optional<ip_address>
behind(std::string_view fields,
       client_address_source from = client_address_source::x_forwarded_for) {
  identity_settings settings;
  settings.order = {{ip, ""}};
  const identifier who{settings, {"10.0.0.0/8", "fd00::/8"}, "s", from};
  const parsed_request request{post("/", "", fields)};
  INFO(fields << request.ec.message());
  REQUIRE(request.parser.is_done());
  return who.forwarded_client(request.head(), ip_of("10.0.0.1"));
}

} // namespace

TEST_CASE("identity: the first rule of the order that matches wins") {
  const std::string both = "X-Client: a\r\nCookie: sid=b\r\n";
  const auto header_first = make({{header, "X-Client"}, {cookie, "sid"}, {ip, ""}});
  const auto cookie_first = make({{cookie, "sid"}, {header, "X-Client"}, {ip, ""}});
  const auto client = ask(header_first, both);
  CHECK(client.result == known);
  CHECK(client.client == ask(header_first, "X-Client: a\r\n").client);
  CHECK(client.client == ask(header_first, "x-cLIENT:   a  \r\n", "192.0.2.9").client);
  CHECK(client.client == ask(cookie_first, "X-Client: a\r\n").client);
  CHECK(ask(cookie_first, both).client == ask(cookie_first, "Cookie: sid=b\r\n").client);
  CHECK(ask(cookie_first, both).client != client.client);
  // Empty is as absent.
  CHECK(ask(header_first, "X-Client:\r\nCookie: sid=b\r\n").client ==
        ask(header_first, "Cookie: sid=b\r\n").client);
  CHECK(ask(header_first, "").client == header_first.client_of(ip_of("192.0.2.1")));
}

TEST_CASE("identity: what comes beneath a path is one client") {
  const auto who = make({{path, "/v1/events/open"}, {header, "x-client"}, {ip, ""}});
  const auto at = [&](std::string_view target) {
    return ask(who, "X-Client: a\r\n", "192.0.2.1", target).client;
  };
  const auto open = at("/v1/events/open");
  CHECK(open == client_hasher{"s"}(path, {}, "/v1/events/open"));
  for (const auto* target : {"/v1/events/open?a=/b", "/v1/events/open/", "/v1/events/open/x",
                             "http://example.com/v1/events/open", "http://b?x@/v1/events/open"}) {
    INFO(target);
    CHECK((at(target) == open) == (std::string_view{target}.find("b?") == std::string_view::npos));
  }
  for (const auto* target :
       {"/v1/events/openly", "/v1/events", "/x/v1/events/open", "/v1/events?/open"})
    CHECK(at(target) == client_hasher{"s"}(header, "x-client", "a"));
  CHECK(
      who.clients_named("/v1/events/open") ==
      std::vector<std::uint64_t>{open, client_hasher{"s"}(header, "x-client", "/v1/events/open")});
}

TEST_CASE("identity: names, kinds and secrets are all part of the hash") {
  const auto who = make({{header, "x-a"}, {header, "x-b"}, {cookie, "x-a"}, {referer, ""}});
  const std::vector<std::uint64_t> clients{
      ask(who, "X-A: v\r\n").client, ask(who, "X-B: v\r\n").client,
      ask(who, "Cookie: x-a=v\r\n").client, ask(who, "Referer: v://v\r\n").client,
      ask(make({{header, "x-a"}}, {}, "other"), "X-A: v\r\n").client};
  for (std::size_t i = 0; i < clients.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      CHECK(clients[i] != clients[j]);
  const client_hasher hash{"s"};
  CHECK(hash(header, "x", "yz") != hash(header, "xy", "z"));
  CHECK(clients[0] == hash(header, "x-a", "v"));
  // Keys longer than the hasher's buffer, which differ in their last byte alone.
  for (std::size_t size : {253u, 254u, 255u, 4'000u})
    CHECK(hash(header, "x", std::string(size, 'v')) !=
          hash(header, "x", std::string(size - 1, 'v') + "w"));
  CHECK(ask(who, "X-A: " + std::string(8'000, 'v') + "\r\n").result == known);
}

TEST_CASE("identity: a key that nobody knows is never anonymous") {
  const auto keys = make({{bearer, ""}, {x_api_key, ""}, {query, ""}, {ip, ""}});
  for (const auto* field : {"Authorization: Bearer k\r\n", "authorization: bEARER k\r\n",
                            "X-Api-Key: k\r\n", "X-API-KEY:\r\n"}) {
    INFO(field);
    CHECK(ask(keys, field).result == unknown_key);
    CHECK_FALSE(ask(keys, field).detail.empty());
  }
  for (const auto* field : {"", "Authorization: Basic k\r\n", "Authorization: Bearer\r\n"})
    CHECK(ask(keys, field).result == known);
  for (const auto* target : {"/e?api_key=k", "/e?a=b&api_key=k", "/e?api_key", "/e?api_key=&b"})
    CHECK(ask(keys, "", "192.0.2.1", target).result == unknown_key);
  for (const auto* target : {"/api_key=k", "/e?xapi_key=k", "/e?api_keys=k", "/e?a=api_key", "/e?"})
    CHECK(ask(keys, "", "192.0.2.1", target).result == known);
  // What the order does not name is not looked at, and what comes first decides.
  CHECK(ask(make({{ip, ""}}), "X-Api-Key: k\r\n").result == known);
  CHECK(ask(make({{ip, ""}, {x_api_key, ""}}), "X-Api-Key: k\r\n").result == known);
}

TEST_CASE("identity: a header that names the client stands once") {
  const auto who = make({{header, "X-One"}, {header, "X-Two"}, {ip, ""}});
  CHECK(ask(who, "X-Two: a\r\nX-Two: a\r\n").result == malformed);
  CHECK(ask(who, "X-One: a\r\nx-one: b\r\n").result == malformed);
  // Not looked at: an earlier rule decided.
  CHECK(ask(who, "X-One: a\r\nX-Two: a\r\nX-Two: b\r\n").result == known);
  CHECK(ask(who, "X-Other: a\r\nX-Other: a\r\n").result == known);
}

TEST_CASE("identity: a header that has a meaning of its own can name the client too") {
  const auto who = make({{header, "Cookie"}, {cookie, "sid"}});
  CHECK(who.custom_fields() == std::vector<std::string>{"cookie"});
  CHECK(ask(who, "Cookie: sid=1\r\n").client == client_hasher{"s"}(header, "cookie", "sid=1"));
}

TEST_CASE("identity: cookies") {
  const auto who = make({{cookie, "sid"}, {ip, ""}});
  const auto client = ask(who, "Cookie: sid=1\r\n").client;
  CHECK(client == client_hasher{"s"}(cookie, "sid", "1"));
  for (const auto* same : {"Cookie: a=b; sid=1\r\n", "Cookie: sid=1; sid=2\r\n",
                           "Cookie: xsid=2;sid=1;\r\n", "Cookie: ;;\t sid=1 ;x\r\n"}) {
    INFO(same);
    CHECK(ask(who, same).client == client);
  }
  const auto anonymous = who.client_of(ip_of("192.0.2.1"));
  for (const auto* none :
       {"Cookie: SID=1\r\n", "Cookie: sid\r\n", "Cookie: sid=\r\n", "Cookie: sidx=1\r\n"}) {
    INFO(none);
    CHECK(ask(who, none).client == anonymous);
  }
  CHECK(ask(who, "Cookie: sid=a=b\r\n").client == client_hasher{"s"}(cookie, "sid", "a=b"));
}

TEST_CASE("identity: the Referer's origin, whatever its path") {
  const auto who = make({{referer, ""}, {ip, ""}});
  const auto client = ask(who, "Referer: https://a.example:8443/page?x#y\r\n").client;
  CHECK(client == client_hasher{"s"}(referer, "", "https://a.example:8443"));
  for (const auto* same :
       {"Referer: https://a.example:8443\r\n", "Referer: https://a.example:8443?q=https://b\r\n",
        "Referer: https://a.example:8443#f\r\n"})
    CHECK(ask(who, same).client == client);
  for (const auto* other :
       {"Referer: http://a.example:8443/\r\n", "Referer: https://a.example/\r\n",
        "Referer: https://b.example:8443/\r\n", "Referer: /page\r\n"})
    CHECK(ask(who, other).client != client);
  CHECK(ask(who, "Referer: about:blank\r\n").client == who.client_of(ip_of("192.0.2.1")));
}

TEST_CASE("identity: addresses by prefix") {
  identity_settings settings;
  settings.ipv4_prefix = 24;
  settings.ipv6_prefix = 56;
  const identifier who{settings, {}, "s"};
  const auto same = [&](std::string_view a, std::string_view b) {
    return who.client_of(ip_of(a)) == who.client_of(ip_of(b));
  };
  CHECK(same("192.0.2.1", "192.0.2.255"));
  CHECK_FALSE(same("192.0.2.1", "192.0.3.1"));
  CHECK(same("2001:db8:0:ab00::1", "2001:db8:0:abff::2"));
  CHECK_FALSE(same("2001:db8:0:ab00::1", "2001:db8:0:ac00::1"));
  CHECK(same("::ffff:192.0.2.7", "192.0.2.1"));
  CHECK_FALSE(same("c000:200::", "192.0.2.0")); // the same bytes as IPv6
  const identifier by_default{{}, {}, "s"};
  CHECK(by_default.client_of(ip_of("192.0.2.1")) != by_default.client_of(ip_of("192.0.2.2")));
  CHECK(by_default.client_of(ip_of("2001:db8::1")) ==
        by_default.client_of(ip_of("2001:db8::ffff:0:0:2")));
}

TEST_CASE("identity: without a rule that matches, the connection's address") {
  const auto who = make({{header, "X-A"}}, {"10.0.0.0/8"});
  CHECK(ask(who, "X-Forwarded-For: 192.0.2.5\r\n", "10.0.0.1").client ==
        who.client_of(ip_of("10.0.0.1")));
}

TEST_CASE("identity: forwarding headers count only from a trusted proxy") {
  const auto who = make({{ip, ""}}, {"10.0.0.0/8"});
  const std::string field = "X-Forwarded-For: 203.0.113.5\r\n";
  CHECK(ask(who, field, "10.0.0.1").client == who.client_of(ip_of("203.0.113.5")));
  CHECK(ask(who, field, "11.0.0.1").client == who.client_of(ip_of("11.0.0.1")));
  CHECK(ask(make({{ip, ""}}), field, "10.0.0.1").client == who.client_of(ip_of("10.0.0.1")));
}

TEST_CASE("identity: X-Forwarded-For is read from the right, past trusted proxies") {
  const auto xff = [](const std::string& list) {
    return behind("X-Forwarded-For: " + list + "\r\n");
  };
  CHECK(xff("203.0.113.5") == ip_of("203.0.113.5"));
  CHECK(xff("1.1.1.1, 203.0.113.5") == ip_of("203.0.113.5"));
  CHECK(xff("1.1.1.1,203.0.113.5 ,10.0.0.2,\t10.0.0.3") == ip_of("203.0.113.5"));
  CHECK(xff("10.0.0.3, 10.0.0.2") == ip_of("10.0.0.3")); // all trusted: the first
  CHECK(xff("203.0.113.5:4711") == ip_of("203.0.113.5"));
  CHECK(xff("[2001:db8::5]:4711, fd00::1") == ip_of("2001:db8::5"));
  CHECK(xff("2001:db8::5") == ip_of("2001:db8::5"));
  // What is no address ends the search at the last proxy that is known.
  CHECK(xff("203.0.113.5, unknown") == ip_of("10.0.0.1"));
  // Empty elements of a list count as none, as in Forwarded.
  CHECK(xff("203.0.113.5, , 10.0.0.2") == ip_of("203.0.113.5"));
  CHECK(xff("203.0.113.5, ,") == ip_of("203.0.113.5"));
  CHECK(xff("203.0.113.5,") == ip_of("203.0.113.5"));
  CHECK(xff("203.0.113.5;10.0.0.2") == ip_of("10.0.0.1"));
  CHECK(xff("203.0.113.256") == ip_of("10.0.0.1"));
  CHECK(xff("") == ip_of("10.0.0.1"));
  CHECK(behind("") == ip_of("10.0.0.1"));
  // Lines of one name are one list.
  CHECK(behind("X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 203.0.113.5\r\n") ==
        ip_of("203.0.113.5"));
  CHECK(behind("X-Forwarded-For: 203.0.113.5\r\nx-forwarded-for: 10.0.0.2\r\n"
               "X-Forwarded-For: 10.0.0.3\r\n") == ip_of("203.0.113.5"));
  for (const auto* odd : {"203.0.113.5:", "203.0.113.5:80x", "203.0.113.5:800000", "[2001:db8::5",
                          "[2001:db8::5]x", "[2001:db8::5]:", "\"203.0.113.5\"", "fe80::1%eth0"})
    CHECK(xff(odd) == ip_of("10.0.0.1"));
}

TEST_CASE("identity: of the headers that name the client's address, only one counts") {
  using enum client_address_source;
  const auto* plain = "X-Forwarded-For: 203.0.113.5\r\n";
  const auto* rfc = "Forwarded: for=203.0.113.9\r\n";
  const std::string both = std::string{plain} + rfc;
  const auto proxy = ip_of("10.0.0.1");
  CHECK(behind(both, x_forwarded_for) == ip_of("203.0.113.5"));
  CHECK(behind(both, forwarded) == ip_of("203.0.113.9"));
  CHECK(behind(both, none) == proxy);
  CHECK(behind(rfc, x_forwarded_for) == proxy);
  CHECK(behind(plain, forwarded) == proxy);
  CHECK(behind(std::string{rfc} + "X-Forwarded-For:\r\n", x_forwarded_for) == proxy);
  // Nor does it matter that the other one is malformed.
  CHECK(behind(std::string{plain} + "Forwarded: for=\"\r\n", x_forwarded_for) ==
        ip_of("203.0.113.5"));
  CHECK(behind(std::string{rfc} + "X-Forwarded-For: x\r\n", forwarded) == ip_of("203.0.113.9"));
}

TEST_CASE("identity: Forwarded, as RFC 7239 writes it") {
  const auto forwarded = [](const std::string& v) {
    return behind("Forwarded: " + v + "\r\n", client_address_source::forwarded);
  };
  const std::vector<std::pair<const char*, const char*>> rows{
      {"for=203.0.113.5", "203.0.113.5"},
      {"for=\"203.0.113.5\"", "203.0.113.5"},
      {"For=203.0.113.5", "203.0.113.5"},
      {"FOR=203.0.113.5;PROTO=http", "203.0.113.5"},
      {"proto=https; For=\"203.0.113.5:80\" ;by=10.0.0.1", "203.0.113.5"},
      {"for=\"203.0.113.5:_hidden\"", "203.0.113.5"},
      {"for=\"[2001:db8::5]\"", "2001:db8::5"},
      {"for=\"[2001:db8::5]:_p\"", "2001:db8::5"},
      {"for=[2001:db8::5]:80", "2001:db8::5"},
      {"for=203.0.113.5:80", "203.0.113.5"},
      {"for=\"[::ffff:203.0.113.5]\"", "203.0.113.5"},
      {"for=\"\\2\\03.0.113.5\"", "203.0.113.5"},
      {";for=203.0.113.5;", "203.0.113.5"},
      // What stands in quotes is no element and no parameter.
      {"for=203.0.113.9;host=\"h,for=6.6.6.6;x\"", "203.0.113.9"},
      {"for=203.0.113.9;host=\"h\\\",for=6.6.6.6;x\"", "203.0.113.9"},
      {"host=\"h;for=6.6.6.6\";for=203.0.113.9", "203.0.113.9"},
      {"host=\"\\\\\";for=203.0.113.9", "203.0.113.9"},
      {"xfor=6.6.6.6;for=203.0.113.9;forx=6.6.6.7", "203.0.113.9"},
      // From the right, past trusted proxies and empty elements.
      {"for=1.1.1.1, for=203.0.113.5", "203.0.113.5"},
      {"for=1.1.1.1, for=\"[2001:db8::5]:4711\", for=10.0.0.2", "2001:db8::5"},
      {"for=203.0.113.5,", "203.0.113.5"},
      {"for=203.0.113.5,,\t, for=10.0.0.2 , ", "203.0.113.5"},
      {",for=203.0.113.5", "203.0.113.5"},
      {"for=10.0.0.3,for=10.0.0.2", "10.0.0.3"},
      // What names no address ends the search at the last proxy that is known.
      {"for=unknown", "10.0.0.1"},
      {"for=Unknown, for=10.0.0.2", "10.0.0.2"},
      {"for=_hidden", "10.0.0.1"},
      {"for=6.6.6.6, for=_hidden", "10.0.0.1"},
      {"for=6.6.6.6, proto=https", "10.0.0.1"},
      {"for=6.6.6.6, ;", "10.0.0.1"},
      {"by=203.0.113.5", "10.0.0.1"},
      {"for=203.0.113.256", "10.0.0.1"},
      {"for=\"203.0.113.5:99999x\"", "10.0.0.1"},
      {"for=\"203.0.113.5:_\"", "10.0.0.1"},
      {"for=\"\"", "10.0.0.1"},
      {"for=\"fe80::1%eth0\"", "10.0.0.1"},
      {"for=\" 203.0.113.5\"", "10.0.0.1"},
      {"", "10.0.0.1"},
      {",", "10.0.0.1"},
  };
  for (const auto& [text, address] : rows) {
    INFO(text);
    CHECK(forwarded(text) == ip_of(address));
  }
  const auto longer = "for=\"" + std::string(200, '1') + "\"";
  CHECK(forwarded(longer) == ip_of("10.0.0.1"));
}

TEST_CASE("identity: a line of Forwarded that breaks the grammar is refused, not guessed at") {
  const auto ask_behind = [](const std::string& fields) {
    return behind(fields, client_address_source::forwarded);
  };
  for (const auto* bad : {"for=",
                          "for=\"",
                          "for=\"203.0.113.5",
                          "for=\"203.0.113.5\\\"",
                          "for=\"a\"b",
                          "nonsense",
                          "203.0.113.5",
                          "for =203.0.113.5",
                          "for= 203.0.113.5",
                          "=203.0.113.5",
                          "for=a b",
                          "for=203.0.113.5;for=6.6.6.6",
                          "for=1.1.1.1;For=\"2.2.2.2\"",
                          "for=203.0.113.5 proto=http",
                          "for=\"1.1.1.1\"\"2.2.2.2\"",
                          "for=203.0.113.5, nonsense",
                          "nonsense, for=203.0.113.5",
                          "for=@",
                          "for='a;b', for=\"",
                          "for=203.0.113.9;host=\"a\"b,for=6.6.6.6;x=\"\""}) {
    INFO(bad);
    CHECK_FALSE(ask_behind(std::string{"Forwarded: "} + bad + "\r\n"));
  }
  // What a proxy wrote in a line of its own counts, whatever the client left open in the one
  // before.
  CHECK(ask_behind("Forwarded: for=\"6.6.6.6\r\nForwarded: for=203.0.113.5\r\n") ==
        ip_of("203.0.113.5"));
  CHECK_FALSE(ask_behind("Forwarded: for=\"6.6.6.6\r\nForwarded: for=10.0.0.2\r\n"));
  CHECK(ask_behind("Forwarded: for=1.1.1.1\r\nForwarded: for=203.0.113.5\r\n") ==
        ip_of("203.0.113.5"));
  CHECK(ask_behind("Forwarded: for=203.0.113.5\r\nForwarded:\r\nForwarded: for=10.0.0.2\r\n") ==
        ip_of("203.0.113.5"));
  // The whole request is malformed then: a key would be used from an address that nobody knows.
  identity_settings settings;
  const identifier who{settings, {"10.0.0.0/8"}, "s", client_address_source::forwarded};
  CHECK(ask(who, "Forwarded: for=\"\r\n", "10.0.0.1").result == malformed);
  CHECK(ask(who, "Forwarded: for=\"\r\n", "192.0.2.1").result == known); // not a proxy
}

TEST_CASE("identity: of a line of Forwarded the last elements are looked at") {
  std::string list = "for=203.0.113.5";
  for (std::size_t i = 1; i < max_forwarded_hops; ++i)
    list += ", for=10.0.0.2";
  const auto ask_behind = [](const std::string& text) {
    return behind("Forwarded: " + text + "\r\n", client_address_source::forwarded);
  };
  CHECK(ask_behind(list) == ip_of("203.0.113.5"));
  CHECK(ask_behind(list + ", for=10.0.0.2") == ip_of("10.0.0.2"));
  CHECK(ask_behind(list + ", for=203.0.113.6") == ip_of("203.0.113.6"));
}

TEST_CASE("identity: with anonymous clients refused, keys are looked for in any order") {
  identity_settings settings;
  settings.order = {{ip, ""}};
  settings.refuse_anonymous = true;
  const identifier who{settings, {}, "s"};
  CHECK(who.refuses_anonymous());
  CHECK(ask(who, "Authorization: Bearer k\r\n").result == unknown_key);
  CHECK(ask(who, "X-Api-Key: k\r\n").result == unknown_key);
  CHECK(ask(who, "").key == nullptr);
  settings.order = {{query, ""}, {ip, ""}};
  CHECK(ask(identifier{settings, {}, "s"}, "X-Api-Key: k\r\n").result == known);
}

TEST_CASE("identity: a list of thousands of elements is read to its end and no further") {
  std::string list = "203.0.113.5";
  for (int i = 0; i < 1'000; ++i)
    list += ", 10.0.0.2";
  CHECK(behind("X-Forwarded-For: " + list + "\r\n") == ip_of("203.0.113.5"));
}

} // namespace penstock::identity_test
