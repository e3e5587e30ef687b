// Keys and plans over a real socket, with the real accounts actor and a store in memory.
#include "actors/accounts/accounts_actor.hpp"
#include "actors/system_config.hpp"
#include "net/admin/admin_server.hpp"
#include "tests/unit/actors/accounts/memory_account_store.hpp"
#include "tests/unit/actors/stand_in.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast.hpp>
#include <boost/json.hpp>
#include <catch2/catch.hpp>

using namespace penstock;
namespace asio = boost::asio;
namespace http = boost::beast::http;
namespace json = boost::json;
using Catch::Matchers::Contains;

namespace {

using answer = http::response<http::string_body>;

struct accounts_server {
  system_config config{1};
  caf::actor_system sys{config};
  node_state node;
  metrics_sources metrics;
  std::shared_ptr<memory_account_store> store = std::make_shared<memory_account_store>();
  accounts_handle accounts;
  std::unique_ptr<admin_server> server;
  asio::io_context io;
  boost::beast::tcp_stream stream{io};
  boost::beast::flat_buffer buffer;

  explicit accounts_server(bool with_accounts = true, const std::string& token = "") {
    const std::vector<plan> plans{
        {"anonymous", {}}, {"pro", {{.name = "burst", .amount = 5, .window_ns = 1'000'000'000}}}};
    auto book = std::make_shared<account_book>(
        account_records{}, plans, [](std::string_view, std::string_view) { return 1u; });
    if (with_accounts)
      accounts = sys.spawn(accounts_actor, accounts_parts{store, book, key_hasher{"s"}, {}, [] {
                                                            return 1'790'000'000'000'000;
                                                          }});
    auto started = admin_server::start(
        {{"127.0.0.1:0", token}, sys, stand_in(accounts), node, metrics, accounts});
    REQUIRE(started.has_value());
    server = std::move(*started);
    stream.connect({asio::ip::make_address("127.0.0.1"), server->port()});
  }
  ~accounts_server() {
    server.reset();
    if (accounts) caf::anon_send_exit(accounts, caf::exit_reason::kill);
  }

  answer send(http::verb method, const std::string& target, const std::string& body = "") {
    http::request<http::string_body> request{method, target, 11};
    request.set(http::field::host, "localhost");
    if (!body.empty()) request.set(http::field::content_type, "application/json");
    request.body() = body;
    request.prepare_payload();
    http::write(stream, request);
    answer response;
    http::read(stream, buffer, response);
    return response;
  }
  answer get(const std::string& target) { return send(http::verb::get, target); }
  answer post_key(const std::string& body) {
    return send(http::verb::post, "/v1/admin/keys", body);
  }
  answer put(const std::string& name, const std::string& body) {
    return send(http::verb::put, "/v1/admin/plans/" + name, body);
  }
};

json::object object_of(const answer& from) {
  return json::parse(from.body()).as_object();
}

std::string text_at(const json::object& object, const char* member) {
  return std::string{object.at(member).as_string()};
}

} // namespace

TEST_CASE("a key is made, shown once, listed without what is secret, revoked", "[admin]") {
  accounts_server s;
  const auto made = s.post_key(R"({"account":"acme","plan":"pro","streams":["errors"],
    "origins":["HTTPS://Example.org:443"],"networks":["203.0.113.0/24","::1"],
    "expires":"2999-01-01T00:00:00+01:00"})");
  INFO(made.body());
  REQUIRE(made.result_int() == 201);
  const auto key = object_of(made);
  const auto secret = text_at(key, "key");
  CHECK(is_api_key(secret));
  CHECK(text_at(key, "account") == "acme");
  CHECK(text_at(key, "plan") == "pro");
  CHECK(text_at(key, "prefix") == secret.substr(0, 11));
  CHECK(json::serialize(key.at("streams")) == R"(["errors"])");
  CHECK(json::serialize(key.at("origins")) == R"(["https://example.org"])");
  CHECK(json::serialize(key.at("networks")) == R"(["203.0.113.0/24","::1"])");
  CHECK(text_at(key, "created") == "2026-09-21T14:13:20.000Z");
  CHECK(text_at(key, "expires") == "2998-12-31T23:00:00.000Z");
  CHECK(key.at("revoked").is_null());
  const auto id = text_at(key, "id");
  CHECK(s.store->keys.at(id).hash == key_hasher{"s"}(secret));

  const auto listed = s.get("/v1/admin/keys");
  CHECK(listed.result_int() == 200);
  auto expected = key;
  expected.erase("key");
  CHECK(object_of(listed).at("keys") == json::array{expected});
  CHECK(listed.body().find(secret.substr(11, 10)) == std::string::npos);
  CHECK(listed.body().find("hash") == std::string::npos);

  const auto gone = s.send(http::verb::delete_, "/v1/admin/keys/" + id);
  CHECK(gone.result_int() == 204);
  CHECK(gone.body().empty());
  CHECK(s.send(http::verb::delete_, "/v1/admin/keys/" + id).result_int() == 204);
  CHECK(object_of(s.get("/v1/admin/keys")).at("keys").at(0).at("revoked").is_string());
  CHECK(s.store->keys.at(id).revoked_ms != 0);
}

TEST_CASE("only account and plan are needed", "[admin]") {
  accounts_server s;
  const auto key = object_of(s.post_key(R"({"account":"a@b.example","plan":"pro"})"));
  CHECK(key.at("streams").as_array().empty());
  CHECK(key.at("expires").is_null());
  CHECK(s.post_key(R"({"account":"a","plan":"pro","expires":null})").result_int() == 201);
}

TEST_CASE("keys come in pages, by account", "[admin]") {
  accounts_server s;
  for (const auto* account : {"a", "b", "a", "a"})
    s.post_key(R"({"account":")" + std::string{account} + R"(","plan":"pro"})");
  const auto first = object_of(s.get("/v1/admin/keys?account=a&limit=2"));
  CHECK(first.at("keys").as_array().size() == 2);
  const auto second =
      object_of(s.get("/v1/admin/keys?account=a&limit=2&after=" + text_at(first, "next")));
  CHECK(second.at("keys").as_array().size() == 1);
  CHECK_FALSE(second.contains("next"));
  CHECK(object_of(s.get("/v1/admin/keys")).at("keys").as_array().size() == 4);
  for (const auto* bad : {"limit=0", "limit=x", "limit=10001", "limit=", "account=a%20b"})
    CHECK(s.get("/v1/admin/keys?" + std::string{bad}).result_int() == 400);
}

TEST_CASE("what is wrong with a key's body is told by field", "[admin]") {
  accounts_server s;
  const auto check = [&](const std::string& members, const std::string& names,
                         const std::string& fix) {
    const auto got = s.post_key(R"({"account":"a","plan":"pro",)" + members + "}");
    INFO(members << " → " << got.body());
    CHECK(got.result_int() == 400);
    CHECK(got[http::field::content_type] == "application/problem+json");
    CHECK_THAT(text_at(object_of(got), "detail"), Contains(names) && Contains(fix));
  };
  check(R"("colour":"red")", "\"colour\" is not known", "'networks'");
  check(R"("account":5)", "'account'", "letters");
  check(R"("account":"a b")", "'account'", "letters");
  check(R"("account":"")", "'account'", "letters");
  check(R"("plan":["pro"])", "'plan'", "letters");
  check(R"("plan":"gold")", "no plan \"gold\"", "anonymous, pro");
  check(R"("streams":"errors")", "'streams'", "a list");
  check(R"("streams":[1])", "'streams[0]'", "a text");
  check(R"("streams":["ok","not ok"])", "'streams[1]'", "a-z");
  check(R"("streams":["ok","ok"])", "'streams[1]'", "leave one out");
  check(R"("origins":["https://example.org/path"])", "'origins[0]'", "https://example.org");
  check(R"("origins":["HTTPS://a","https://a:443"])", "'origins[1]'", "twice");
  check(R"("networks":["10.0.0.0/33"])", "'networks[0]'", "203.0.113.0/24");
  check(R"("networks":["10.0.0.1:80"])", "'networks[0]'", "203.0.113.0/24");
  check(R"("networks":["[::1]"])", "'networks[0]'", "2001:db8::/32");
  check(R"("networks":[null])", "'networks[0]'", "a text");
  check(R"("expires":"tomorrow")", "'expires'", "RFC 3339");
  check(R"("expires":1893456000)", "'expires'", "RFC 3339");
  check(R"("expires":"2001-01-01T00:00:00Z")", "'expires' is in the past", "to come");
  std::string many;
  for (int i = 0; i < 33; ++i)
    many += (i ? ",\"s" : "\"s") + std::to_string(i) + '"';
  check("\"streams\":[" + many + "]", "33 entries", "at most 32");
  for (const auto* body : {"", "[]", "{", "nonsense", R"({"account":"a"})", R"({"plan":"pro"})"})
    CHECK(s.post_key(body).result_int() == 400);
  CHECK(s.store->keys.empty());
}

TEST_CASE("a key sent in the wrong place is not repeated", "[admin]") {
  accounts_server s;
  const auto key = *make_api_key();
  const auto part = key.substr(14, 10);
  for (const auto& got :
       {s.post_key(R"({"account":"a","plan":"pro","streams":[")" + key + " \"]}"),
        s.post_key(R"({"account":"a","plan":"pro","origins":[")" + key + "\"]}"),
        s.post_key(R"({"account":"a","plan":"pro","networks":[")" + key + "\"]}"),
        s.post_key(R"({"account":"a","plan":")" + key + "\"}"),
        s.post_key(R"({"account":"a","plan":"pro",")" + key + "\":1}"),
        s.send(http::verb::delete_, "/v1/admin/keys/" + key), s.get("/v1/admin/plans/" + key),
        s.put(key + "!", "{}"), s.put("p", R"({"limits":[{"name":")" + key + " \"}]}")}) {
    INFO(got.body());
    CHECK(got.result_int() >= 400);
    CHECK(got.result_int() < 500);
    CHECK(got.body().find(part) == std::string::npos);
  }
}

TEST_CASE("an unknown id is a 404", "[admin]") {
  accounts_server s;
  CHECK(s.send(http::verb::delete_, "/v1/admin/keys/key_aaaaaaaaaaaaaaaa").result_int() == 404);
  CHECK(s.send(http::verb::delete_, "/v1/admin/keys/").result_int() == 404);
  CHECK(s.send(http::verb::delete_, "/v1/admin/keys/a/b").result_int() == 404);
  const auto wrong = s.send(http::verb::put, "/v1/admin/keys");
  CHECK(wrong.result_int() == 405);
  CHECK(wrong[http::field::allow] == "GET, HEAD, POST");
}

TEST_CASE("plans are set, shown and deleted", "[admin]") {
  accounts_server s;
  const std::string limits =
      R"([{"name":"daily","algorithm":"calendar","amount":10000,"window":"day"}])";
  const auto set = s.put("gold", "{\"limits\":" + limits + "}");
  INFO(set.body());
  CHECK(set.result_int() == 200);
  CHECK(json::serialize(object_of(set).at("limits")) == limits);
  const auto shown = object_of(s.get("/v1/admin/plans/gold"));
  CHECK(json::serialize(shown.at("limits")) == limits);
  CHECK(text_at(shown, "source") == "admin");
  CHECK(text_at(shown, "changed") == "2026-09-21T14:13:20.000Z");
  const auto all = object_of(s.get("/v1/admin/plans"));
  REQUIRE(all.at("plans").as_array().size() == 3);
  CHECK(all.at("plans").at(0).at("name") == "anonymous");
  CHECK(all.at("plans").at(0).at("source") == "configuration");
  CHECK(all.at("plans").at(1).at("name") == "gold");

  s.post_key(R"({"account":"a","plan":"gold"})");
  CHECK(object_of(s.get("/v1/admin/plans/gold")).at("keys") == 1);
  const auto used = s.send(http::verb::delete_, "/v1/admin/plans/gold");
  CHECK(used.result_int() == 400);
  CHECK_THAT(used.body(), Contains("used by 1 key"));
  const auto id = s.store->keys.begin()->first;
  s.send(http::verb::delete_, "/v1/admin/keys/" + id);
  CHECK(s.send(http::verb::delete_, "/v1/admin/plans/gold").result_int() == 204);
  CHECK(s.get("/v1/admin/plans/gold").result_int() == 404);
  CHECK(s.send(http::verb::delete_, "/v1/admin/plans/gold").result_int() == 404);
}

TEST_CASE("what is wrong with a plan is told as the configuration does", "[admin]") {
  accounts_server s;
  const auto check = [&](const std::string& body, const std::string& words) {
    const auto got = s.put("gold", body);
    INFO(body << " → " << got.body());
    CHECK(got.result_int() == 400);
    CHECK_THAT(text_at(object_of(got), "detail"), Contains(words));
  };
  check("", "not JSON");
  check("[]", "not an object");
  check("{}", "'limits' is missing");
  check(R"({"limits":[],"name":"x"})", "\"name\" is not known");
  check(R"({"limits":[{"name":"a","amount":0,"window":"1s"}]})",
        "limits[0].amount: 0 is out of range; write a whole number from 1 to 4000000000");
  CHECK(s.put("a%20b", R"({"limits":[]})").result_int() == 400);
  CHECK(s.put("-a", R"({"limits":[]})").result_int() == 400);
  CHECK(s.store->plans.empty());
}

TEST_CASE("without the token, and without accounts", "[admin]") {
  accounts_server closed{true, "s3cret"};
  CHECK(closed.post_key(R"({"account":"a","plan":"pro"})").result_int() == 401);
  CHECK(closed.get("/v1/admin/keys").result_int() == 401);
  CHECK(closed.put("p", R"({"limits":[]})").result_int() == 401);
  CHECK(closed.store->keys.empty());
  accounts_server without{false};
  CHECK(without.get("/v1/admin/plans").result_int() == 503);
}

TEST_CASE("a full disk is told, and nothing is made", "[admin]") {
  accounts_server s;
  s.store->fails = true;
  const auto got = s.post_key(R"({"account":"a","plan":"pro"})");
  CHECK(got.result_int() == 507);
  CHECK(got.body().find("psk_live_") == std::string::npos);
  CHECK(object_of(s.get("/v1/admin/keys")).at("keys").as_array().empty());
}
