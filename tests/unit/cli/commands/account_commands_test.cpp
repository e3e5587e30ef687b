// `penstock key` and `penstock plan` against a server that the test plays.
#include "actors/limits/limit_text.hpp"
#include "cli/base/exit_code.hpp"
#include "cli/base/table.hpp"
#include "cli/commands/commands.hpp"
#include "tests/unit/cli/fake_server.hpp"
#include "tests/unit/cli/run_penstock.hpp"

#include <boost/json.hpp>
#include <catch2/catch.hpp>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>

#include <unistd.h>

using namespace penstock;
using namespace penstock::test;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

namespace {

// Runs against a server that gives one answer; what it was asked is in `request`.
run_outcome run_against(std::vector<std::string> arguments, fake_answer answer,
                        fake_request* request = nullptr) {
  fake_server server{[&](const fake_request&) { return answer; }};
  arguments.insert(arguments.end(), {"--admin", server.url(), "--token", "s3cret"});
  const auto outcome = run_penstock(std::move(arguments));
  if (request && !server.requests().empty()) *request = server.requests().back();
  return outcome;
}

const std::string made_key =
    R"({"id":"key_a","prefix":"psk_live_ab","account":"acme","plan":"pro","key":"psk_live_abc",)"
    R"("expires":null})";

} // namespace

TEST_CASE("key create asks for what was said and prints the key", "[accounts]") {
  fake_request asked;
  const auto made = run_against({"key", "create", "acme", "--plan", "pro", "--stream", "a",
                                 "--stream", "b", "--origin", "https://example.org", "--network",
                                 "10.0.0.0/8", "--expires", "2030-01-01T00:00:00Z"},
                                {201, made_key}, &asked);
  CHECK(made.exit == exit_ok);
  CHECK(asked.method == "POST");
  CHECK(asked.target == "/v1/admin/keys");
  CHECK(asked.authorization == "Bearer s3cret");
  CHECK(boost::json::parse(asked.body) ==
        boost::json::parse(R"({"account":"acme","plan":"pro","streams":["a","b"],
          "origins":["https://example.org"],"networks":["10.0.0.0/8"],
          "expires":"2030-01-01T00:00:00Z"})"));
  CHECK_THAT(made.out, StartsWith("key      psk_live_abc\nid       key_a\n"));
  CHECK_THAT(made.err, Contains("not shown again"));

  const auto json =
      run_against({"key", "create", "acme", "--plan", "pro", "--expires", "30d", "--json"},
                  {201, made_key}, &asked);
  CHECK(boost::json::parse(json.out) == boost::json::parse(made_key));
  CHECK(json.err.empty());
  CHECK_THAT(std::string{boost::json::parse(asked.body).at("expires").as_string()},
             StartsWith("2") && Contains("T") && Contains("Z"));
}

TEST_CASE("key list prints a table of all pages", "[accounts]") {
  fake_server server{[](const fake_request& request) -> fake_answer {
    const bool second = request.target.find("after=key_a") != std::string::npos;
    return {200, second ? R"({"keys":[{"id":"key_b","prefix":"psk_live_cd","account":"acme",
      "plan":"pro","streams":["x","y"],"origins":[],"networks":["::1"],
      "created":"2026-01-01T00:00:00.000Z","expires":"2027-01-01T00:00:00.000Z","revoked":null},
      {"id":"key_c","prefix":"psk_live_ef","account":"acme","plan":"pro","created":"",
      "revoked":"2026-02-01T00:00:00.000Z"}]})"
                        : R"({"keys":[{"id":"key_a","prefix":"psk_live_ab","account":"a",
      "plan":"free","streams":[],"origins":[],"networks":[],
      "created":"2026-01-01T00:00:00.000Z","expires":null,"revoked":null}],"next":"key_a"})"};
  }};
  const auto list = run_penstock({"key", "list", "--account", "a@b", "--admin", server.url()});
  CHECK(list.exit == exit_ok);
  CHECK(list.err.empty());
  CHECK(list.out ==
        "ID     KEY           ACCOUNT  PLAN  CREATED                   EXPIRES                   "
        "ONLY\n"
        "key_a  psk_live_ab…  a        free  2026-01-01T00:00:00.000Z  never\n"
        "key_b  psk_live_cd…  acme     pro   2026-01-01T00:00:00.000Z  2027-01-01T00:00:00.000Z  "
        "streams x, y; networks ::1\n");
  CHECK(server.requests().front().method == "GET");
  CHECK(server.requests().front().target == "/v1/admin/keys?limit=10000&account=a%40b&after=");
  const auto all = run_penstock({"key", "list", "--all", "--admin", server.url()});
  CHECK_THAT(all.out, Contains("REVOKED") && Contains("key_c"));
  const auto json = run_penstock({"key", "list", "--json", "--admin", server.url()});
  CHECK(boost::json::parse(json.out).at("keys").as_array().size() == 2);
}

TEST_CASE("a server whose pages never end does not hold up key list", "[accounts]") {
  const auto outcome = run_against({"key", "list"}, {200, R"({"keys":[],"next":"key_a"})"});
  CHECK(outcome.exit == exit_unavailable);
}

TEST_CASE("key revoke names the id, never a key", "[accounts]") {
  fake_request asked;
  const auto done = run_against({"key", "revoke", "key_a"}, {204, ""}, &asked);
  CHECK(done.exit == exit_ok);
  CHECK(done.out == "revoked key_a\n");
  CHECK(asked.method == "DELETE");
  CHECK(asked.target == "/v1/admin/keys/key_a");
  const auto key = run_against({"key", "revoke", "psk_live_abcdefgh"}, {204, ""});
  CHECK(key.exit == exit_usage);
  CHECK_THAT(key.err, Contains("not its id") && !Contains("abcdefgh"));
}

TEST_CASE("plan list shows limits in words", "[accounts]") {
  const std::string plans =
      R"({"plans":[{"name":"anonymous","limits":[],"source":"configuration","keys":0},
      {"name":"pro","limits":[{"name":"burst","algorithm":"gcra","amount":20,"window":"1s",
      "burst":40}],"source":"admin","keys":12},
      {"name":"new","limits":[{"wings":2}],"source":"admin","keys":1}]})";
  const auto list = run_against({"plan", "list"}, {200, plans});
  CHECK(list.out == "PLAN       FROM           KEYS  LIMITS\n"
                    "anonymous  configuration  0     no limits\n"
                    "pro        admin          12    burst 20 per 1s, burst 40 (gcra)\n"
                    "new        admin          1     [{\"wings\":2}]\n");
  const auto json = run_against({"plan", "list", "--json"}, {200, plans});
  CHECK(boost::json::parse(json.out) == boost::json::parse(plans));
  CHECK(run_against({"plan", "list"}, {200, R"({"plans":[5]})"}).exit == exit_unavailable);
}

TEST_CASE("plan set takes limits from the command line or a file", "[accounts]") {
  fake_request asked;
  const auto set = run_against({"plan", "set", "pro", "--limits",
                                R"([{name = "d", algorithm = "calendar", )"
                                R"(amount = 9, window = "day"}])"},
                               {200, "{}"}, &asked);
  CHECK(set.exit == exit_ok);
  CHECK(set.out == "set pro with 1 limit\n");
  CHECK(asked.method == "PUT");
  CHECK(asked.target == "/v1/admin/plans/pro");
  CHECK(asked.body ==
        R"({"limits":[{"name":"d","algorithm":"calendar","amount":9,"window":"day"}]})");

  char file[] = "/tmp/penstock-plan-XXXXXX";
  ::close(::mkstemp(file));
  std::ofstream{file} << "[plans.pro]\nlimits = [{ name = \"x\", amount = 3, window = \"1m\" }]\n";
  run_against({"plan", "set", "pro", "--file", file}, {200, "{}"}, &asked);
  CHECK(asked.body == R"({"limits":[{"name":"x","algorithm":"gcra","amount":3,"window":"1m"}]})");
  const auto other = run_against({"plan", "set", "gold", "--file", file}, {200, "{}"});
  CHECK(other.exit == exit_usage);
  CHECK_THAT(other.err, Contains("[plans.gold]"));
  std::ofstream{file} << "limits = []\n";
  CHECK(run_against({"plan", "set", "gold", "--file", file}, {200, "{}"}).exit == exit_ok);
  std::ofstream{file} << "\nlimits = [{ name = \"x\", amont = 3, window = \"1m\" }]\n";
  const auto wrong = run_against({"plan", "set", "gold", "--file", file}, {200, "{}"});
  CHECK(wrong.exit == exit_usage);
  CHECK_THAT(wrong.err, Contains(std::string{file} + ":2") && Contains("did you mean amount?"));
  ::unlink(file);
}

TEST_CASE("the admin API and the configuration say the same of a wrong limit", "[accounts]") {
  const std::pair<const char*, const char*> wrong[] = {
      {R"([{name = "a b"}])", R"([{"name":"a b"}])"},
      {R"([{nam = "a"}])", R"([{"nam":"a"}])"},
      {R"([{wings = 2}])", R"([{"wings":2}])"},
      {R"([{algorithm = "gcraa"}])", R"([{"algorithm":"gcraa"}])"},
      {R"([{algorithm = 5}])", R"([{"algorithm":5}])"},
      {R"([{amount = 0}])", R"([{"amount":0}])"},
      {R"([{amount = "1"}])", R"([{"amount":"1"}])"},
      {R"([{burst = -1}])", R"([{"burst":-1}])"},
      {R"([{window = "soon"}])", R"([{"window":"soon"}])"},
      {R"([{window = "1d", name = "x", amount = 1, algorithm = "calendar"}])",
       R"([{"window":"1d","name":"x","amount":1,"algorithm":"calendar"}])"},
      {R"([5])", R"([5])"},
      {R"([{name = "x", amount = 1, window = "1s"}, {name = "x", amount = 1, window = "1s"}])",
       R"([{"name":"x","amount":1,"window":"1s"},{"name":"x","amount":1,"window":"1s"}])"}};
  for (const auto& [toml, json] : wrong) {
    const auto told = run_penstock({"plan", "set", "x", "--limits", toml}).err;
    const auto parsed = parse_limits(std::string_view{json});
    REQUIRE(parsed.has_error());
    // The command has all that is wrong; the API tells the first.
    CHECK_THAT(told, StartsWith("penstock: --limits: " + parsed.error().message));
  }
}

TEST_CASE("wrong command lines and refusals have their exit codes", "[accounts]") {
  CHECK(run_penstock({"key"}).exit == exit_usage);
  CHECK(run_penstock({"key", "make"}).exit == exit_usage);
  CHECK(run_penstock({"key", "create", "acme"}).exit == exit_usage);
  CHECK(run_penstock({"key", "revoke"}).exit == exit_usage);
  CHECK_THAT(run_penstock({"plan", "set", "pro"}).err, Contains("--limits or --file"));
  CHECK(run_penstock({"plan", "set", "a b", "--limits", "[]"}).exit == exit_usage);
  CHECK_THAT(run_penstock({"plan", "set", "a", "--limits", "[{]"}).err, Contains("not TOML"));
  CHECK_THAT(run_penstock({"plan", "set", "a", "--limits", "[{name=\"x\"}]"}).err,
             StartsWith("penstock: --limits: limits[0]: the limit \"x\" has no window"));
  CHECK(run_penstock({"key", "list", "--admin", "http://127.0.0.1:1"}).exit == exit_unavailable);
  const std::string problem = R"({"title":"Bad Request","detail":"there is no plan"})";
  const auto refused = run_against({"key", "create", "a", "--plan", "x"}, {400, problem});
  CHECK(refused.exit == exit_usage);
  CHECK(refused.out.empty());
  CHECK_THAT(refused.err, Contains("there is no plan"));
  CHECK(run_against({"plan", "list"}, {401, problem}).exit == exit_config);
  CHECK(run_against({"plan", "list"}, {503, problem}).exit == exit_unavailable);
  CHECK(run_against({"plan", "list"}, {200, "<html>"}).exit == exit_unavailable);
  CHECK_THAT(run_against({"key", "list"}, {401, problem}).err, !Contains("s3cret"));
}

TEST_CASE("every account command has help with an example", "[accounts]") {
  for (const std::vector<std::string>& command : {std::vector<std::string>{"key"},
                                                  {"key", "create"},
                                                  {"key", "list"},
                                                  {"key", "revoke"},
                                                  {"plan"},
                                                  {"plan", "list"},
                                                  {"plan", "set"}}) {
    auto arguments = command;
    arguments.push_back("--help");
    const auto outcome = run_penstock(arguments);
    CHECK(outcome.exit == exit_ok);
    std::string words = "penstock";
    for (const auto& word : command)
      words += ' ' + word;
    CHECK_THAT(outcome.out, Contains("Example") && Contains(words));
    CHECK(outcome.err.empty());
  }
}

TEST_CASE("tables line up, whatever is in them", "[accounts]") {
  CHECK(table_text({{"A", "B", "C"}, {"ü", "", "x"}, {"long", "b", ""}}) == "A     B  C\n"
                                                                            "ü        x\n"
                                                                            "long  b\n");
  CHECK(table_text({{"a\nb", "c"}}) == "a?b  c\n");
  CHECK(table_text({}) == "");
}
