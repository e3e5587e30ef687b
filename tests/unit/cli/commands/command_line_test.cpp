#include "cli/base/exit_code.hpp"
#include "cli/commands/commands.hpp"
#include "tests/unit/cli/run_penstock.hpp"

#include <catch2/catch.hpp>

#include <initializer_list>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

using namespace penstock;
using namespace penstock::test;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

TEST_CASE("every command has help with an example, on stdout") {
  CHECK_THAT(run_penstock({"--help"}).out, Contains("Example"));
  for (const auto* command : {"run", "check", "consume", "version"}) {
    const auto outcome = run_penstock({command, "--help"});
    CHECK(outcome.exit == exit_ok);
    CHECK_THAT(outcome.out, Contains("Example") && Contains("penstock " + std::string{command}));
    CHECK(outcome.err.empty());
  }
}

TEST_CASE("a wrong command line ends with 64 and says why on stderr alone") {
  const auto wrong = [](const std::vector<std::string>& arguments) {
    const auto outcome = run_penstock(arguments);
    CHECK(outcome.exit == exit_usage);
    CHECK(outcome.out.empty());
    return outcome.err;
  };
  CHECK_THAT(wrong({}), Contains("subcommand is required"));
  CHECK_THAT(wrong({"chek"}),
             StartsWith("penstock: there is no command \"chek\"; did you mean check?"));
  CHECK_THAT(wrong({"check", "--nonsense"}), Contains("--nonsense"));
  CHECK_THAT(wrong({"consume"}), Contains("STREAM"));
  CHECK_THAT(wrong({"consume", "a b"}), Contains("stream's name"));
  CHECK_THAT(wrong({"consume", "s", "--admin", "nowhere"}), Contains("http://127.0.0.1:8081"));
  CHECK_THAT(wrong({"consume", "s", "--from", "x", "--follow"}), Contains("excludes"));
  CHECK_THAT(wrong({"consume", "s", "--exec", "true", "--workers", "65"}), Contains("--workers"));
}

TEST_CASE("check tells what a configuration does, or all that is wrong with it") {
  const auto good = run_penstock({"check", "cluster-config/node.toml"});
  CHECK(good.exit == exit_ok);
  CHECK_THAT(good.out,
             Contains("events    http://127.0.0.1:8080") && Contains("plan      anonymous"));
  const auto bad = run_penstock({"check", "--set", "http.threads=x", "--set", "log.level=x"});
  CHECK(bad.exit == exit_config);
  CHECK(bad.out.empty());
  CHECK_THAT(bad.err, Contains("http.threads") && Contains("log.level"));
  const auto json = run_penstock({"check", "--json", "--set", "http.threads=x"});
  CHECK(json.exit == exit_config);
  CHECK_THAT(json.out, StartsWith(R"({"ok":false,"errors":["--set: http.threads)"));
  CHECK(json.err.empty());
}

TEST_CASE("check reads the certificate between nodes") {
  const auto outcome =
      run_penstock({"check", "--set", "cluster.directory=static", "--set",
                    "cluster.peers=127.0.0.1:4201", "--set", "cluster.tls_cert=/no/cert", "--set",
                    "cluster.tls_key=/no/key", "--set", "cluster.tls_ca=/no/ca"});
  CHECK(outcome.exit == exit_config);
  CHECK_THAT(outcome.err, StartsWith("cluster.tls_cert: /no/cert: cannot be read: No such file"));
}

TEST_CASE("consume ends with 69 when nobody listens") {
  const auto outcome = run_penstock({"consume", "s", "--admin", "http://127.0.0.1:1"});
  CHECK(outcome.exit == exit_unavailable);
  CHECK(outcome.out.empty());
  CHECK_THAT(outcome.err, Contains("the admin plane at http://127.0.0.1:1 can't be reached"));
}

TEST_CASE("version prints itself") {
  CHECK_THAT(run_penstock({"version"}).out, StartsWith("penstock " PENSTOCK_VERSION));
  CHECK_THAT(run_penstock({"version", "--json"}).out,
             StartsWith("{\"version\":\"" PENSTOCK_VERSION "\""));
}
