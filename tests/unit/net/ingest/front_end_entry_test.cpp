// Who may come at all: connections of an address, overrides that deny, keys only.
#include "net/clients/identity_settings.hpp"
#include "net/http/front_end_metrics.hpp"
#include "tests/unit/net/ingest/front_end_support.hpp"

#include <atomic>
#include <thread>

// A namespace of its own: the names would clash with those of other tests.
namespace penstock::front_end_entry_test {

namespace {

/// Every connection is a trusted proxy's, so that X-Forwarded-For says who asks.
class entry_fixture : public front_end_fixture {
 public:
  front_end_options options;

  entry_fixture() {
    identity_settings who;
    who.order = {{identity_source::x_api_key, ""},
                 {identity_source::header, "x-client"},
                 {identity_source::ip, ""}};
    identify =
        std::make_shared<const identifier>(who, std::vector<std::string>{"0.0.0.0/0"}, "secret");
  }
  void deny(std::vector<override_settings> entries) {
    options.overrides = plan_overrides{entries, *identify};
  }
  http_answer sent(const std::string& text) {
    auto client = connect();
    send(client, text);
    auto got = client.answer();
    INFO(text << client.received);
    REQUIRE(got);
    return *got;
  }
  static std::string from(std::string_view address, std::string_view more = "",
                          std::string_view target = "/v1/events") {
    return post(target, "x",
                "X-Forwarded-For: " + std::string{address} + "\r\n" + std::string{more});
  }
  bool comes_in(const std::string& text) {
    auto client = connect();
    send(client, text);
    auto found = asked(limiter_0);
    if (!found) found = asked(limiter_1);
    return found.has_value();
  }
};

override_settings denied(std::string ip, std::string client = "", std::string account = "") {
  override_settings entry;
  entry.account = std::move(account);
  entry.client = std::move(client);
  entry.ip = std::move(ip);
  entry.deny = true;
  return entry;
}

} // namespace

TEST_CASE_METHOD(entry_fixture, "entry: a denied network is 403, whoever asks from there") {
  override_settings exception;
  exception.ip = "203.0.113.7";
  exception.plan = "anonymous";
  deny({denied("203.0.113.0/24"), denied("::ffff:198.51.100.0/120"), exception});
  start(options);
  auto got = sent(from("203.0.113.9"));
  CHECK(got.status == 403);
  CHECK(json_of(got).at("title").as_string() == "Forbidden");
  CHECK(sent(from("198.51.100.1")).status == 403);
  // Also a client that a header names, one with a key, and one with a key that nobody knows.
  CHECK(sent(from("203.0.113.9", "X-Client: a\r\n")).status == 403);
  CHECK(sent(from("203.0.113.9", "X-Api-Key: k\r\n")).status == 403);
  CHECK(sent(get("/v1/usage", "X-Forwarded-For: 203.0.113.9\r\n")).status == 403);
  CHECK(sent(get("/livez", "X-Forwarded-For: 203.0.113.9\r\n")).status == 200);
  CHECK(sent(get("/readyz", "X-Forwarded-For: 203.0.113.9\r\n")).status == 200);
  CHECK(barred(bar_reason::denied) == 5);
  CHECK(nobody_asked());
  CHECK(comes_in(from("203.0.114.1")));
  CHECK(comes_in(from("203.0.113.7"))); // the smaller network counts
}

TEST_CASE_METHOD(entry_fixture,
                 "entry: who is denied is told before the body is looked at, or came") {
  deny({denied("203.0.113.0/24"), denied("", "bad")});
  start(options);
  CHECK(sent(from("203.0.113.9", "Content-Type: application/json\r\n")).status == 403);
  CHECK(sent(from("203.0.113.9", "", "/v1/events/no%20name")).status == 403);
  for (const auto* who : {"X-Forwarded-For: 203.0.113.9\r\n", "X-Client: bad\r\n"}) {
    INFO(who);
    auto client = connect();
    send(client, std::string{"POST /v1/events HTTP/1.1\r\nHost: t\r\n"} + who +
                     "Expect: 100-continue\r\nContent-Length: 1000000\r\n\r\n");
    const auto got = expect(client, 403); // and no 100 Continue
    CHECK(got["connection"] == "close");
    CHECK(client.closed());
  }
  // One that is not denied may send its body.
  auto client = connect();
  send(client,
       "POST /v1/events HTTP/1.1\r\nHost: t\r\nX-Client: good\r\nContent-Length: 1\r\n\r\n");
  CHECK_FALSE(client.answer());
  send(client, "x");
  CHECK((asked(limiter_0) || asked(limiter_1)));
}

TEST_CASE_METHOD(entry_fixture, "entry: overrides that deny come and go with a reload") {
  start(options);
  CHECK(comes_in(from("203.0.113.9")));
  deny({denied("203.0.113.0/24")});
  tell(rules_changed{rules_of(options)});
  CHECK(sent(from("203.0.113.9")).status == 403);
  deny({});
  tell(rules_changed{rules_of(options)});
  CHECK(comes_in(from("203.0.113.9")));
}

TEST_CASE_METHOD(entry_fixture, "entry: keys only") {
  identity_settings who;
  who.order = {{identity_source::header, "x-client"}, {identity_source::ip, ""}};
  who.refuse_anonymous = true;
  identify = std::make_shared<const identifier>(who, std::vector<std::string>{}, "secret");
  start(options);
  for (const auto& text : {post("/v1/events", "x"), event("a", "x"), get("/v1/usage"),
                           post("/v1/events/s", "x", "Cookie: a=b\r\n")}) {
    const auto got = sent(text);
    CHECK(got.status == 401);
    CHECK(got["www-authenticate"] == "Bearer");
  }
  CHECK(barred(bar_reason::anonymous) == 4);
  CHECK(sent(post("/v1/events", "x", "X-Api-Key: k\r\n")).status == 401); // not known
  CHECK(barred(bar_reason::anonymous) == 4);
  CHECK(sent(get("/livez")).status == 200);
  CHECK(sent(get("/readyz")).status == 200);
  CHECK(sent(get("/elsewhere")).status == 404);
  // Without a word of the body.
  auto client = connect();
  send(client, "POST /v1/events HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\n\r\n");
  expect(client, 401);
  CHECK(nobody_asked());
}

TEST_CASE_METHOD(front_end_fixture, "entry: no more connections of one address than may be") {
  front_end_options options;
  options.http.max_connections_per_address = 2;
  start(options);
  auto one = connect(), two = connect(), three = connect();
  const auto full = expect(three, 503);
  CHECK(three.received.empty());
  CHECK(three.closed());
  CHECK(full["connection"] == "close");
  CHECK(full["retry-after"] == "1");
  CHECK(json_of(full).at("status").as_int64() == 503);
  CHECK(shed(shed_reason::address_connections) == 1);
  CHECK(shed(shed_reason::connections) == 0);
  CHECK(node.connections == 2);
  one.close();
  turn();
  auto four = connect(); // an idle one has left
  send(four, get("/livez"));
  expect(four, 200);
}

TEST_CASE_METHOD(entry_fixture, "entry: trusted proxies may have any number of connections") {
  options.http.max_connections_per_address = 1;
  start(options);
  std::vector<test_client> clients;
  for (int i = 0; i < 5; ++i)
    clients.push_back(connect());
  CHECK(node.connections == 5);
  CHECK(shed(shed_reason::address_connections) == 0);
}

TEST_CASE("connections of an address: counted by all lanes, and forgotten with the last") {
  address_counts counts{3};
  for (int i = 0; i < 3; ++i)
    CHECK(counts.take(7));
  CHECK_FALSE(counts.take(7));
  CHECK(counts.take(8));
  CHECK(counts.size() == 2);
  counts.give_back(7);
  CHECK(counts.take(7));
  for (int i = 0; i < 3; ++i)
    counts.give_back(7);
  counts.give_back(8);
  counts.give_back(8); // none is left
  CHECK(counts.size() == 0);
  std::vector<std::thread> lanes;
  std::atomic<int> taken{0};
  for (int lane = 0; lane < 4; ++lane)
    lanes.emplace_back([&] {
      for (int i = 0; i < 1'000; ++i)
        taken += counts.take(9);
    });
  for (auto& lane : lanes)
    lane.join();
  CHECK(taken == 3);
}

} // namespace penstock::front_end_entry_test
