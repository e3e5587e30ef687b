// Keys that say who may come at all, and warnings when none of them is set.
#include "cli/config/config_warnings.hpp"
#include "net/http/http_settings.hpp"
#include "tests/unit/cli/config/config_support.hpp"

#include <catch2/catch.hpp>

namespace penstock {

using Catch::Matchers::Contains;
using namespace penstock::test;

namespace {

std::vector<std::string> warned(const std::string& toml) {
  const auto loaded = load_text(toml);
  INFO(toml);
  REQUIRE(loaded.has_value());
  return warnings_of(*loaded);
}

} // namespace

TEST_CASE("a stream that may hold most of what a holder keeps is warned of") {
  const std::string cluster = "[cluster]\ndirectory = 'static'\nlisten = '127.0.0.1:7400'\n"
                              "peers = ['127.0.0.1:7401']\nreplica_max_size = '1GiB'\n";
  CHECK(warned(cluster).empty());
  const auto all = warned(cluster + "[streams.default]\nack = 'replicated'\n");
  REQUIRE(all.size() == 1);
  CHECK_THAT(all[0], Contains("journal.unconfigured_max_size is 2GiB") &&
                         Contains("cluster.replica_max_size (1GiB)"));
  CHECK(warned(cluster + "[streams.default]\nack = 'replicated'\n"
                         "[journal]\nunconfigured_max_size = '512MiB'\n")
            .empty());
  const auto one = warned(cluster + "[streams.a]\nack = 'replicated'\nmax_size = '513MiB'\n"
                                    "[streams.b]\nmax_size = '10GiB'\n");
  REQUIRE(one.size() == 1);
  CHECK_THAT(one[0], Contains("streams.a.max_size is 513MiB"));
}

TEST_CASE("one header names the client's address; the PROXY protocol is not there yet") {
  using enum client_address_source;
  CHECK(load_text("")->http.client_address_from == x_forwarded_for);
  CHECK(load_text("[http]\nclient_address_from = 'forwarded'\n")->http.client_address_from ==
        forwarded);
  CHECK(load_text("[http]\nclient_address_from = 'none'\n")->http.client_address_from == none);
  CHECK_THAT(errors_of("[http]\nclient_address_from = 'proxy-protocol'\n"),
             Contains("http.client_address_from") && Contains("not in this version"));
  CHECK_THAT(errors_of("[http]\nclient_address_from = 'x-real-ip'\n"),
             Contains("x-forwarded-for") && Contains("forwarded"));
}

TEST_CASE("an override names a plan or denies") {
  const auto loaded = load_text("[overrides.bad]\nip = '203.0.113.0/24'\ndeny = true\n");
  REQUIRE(loaded.has_value());
  CHECK(loaded->overrides.at("bad").deny);
  CHECK(load_text("[overrides.bad]\naccount = 'acme'\ndeny = true\n").has_value());
  CHECK_THAT(errors_of("[overrides.bad]\nip = '203.0.113.0/24'\n"), Contains("or deny = true"));
  CHECK_THAT(errors_of("[overrides.bad]\nip = '203.0.113.0/24'\ndeny = false\n"),
             Contains("or deny = true"));
  CHECK_THAT(errors_of("[overrides.bad]\nip = '203.0.113.0/24'\ndeny = true\nplan = 'p'\n"),
             Contains("overrides.bad.deny") && Contains("leave one of them out"));
  CHECK_THAT(errors_of("[overrides.bad]\ndeny = true\n"), Contains("to whom it applies"));
}

TEST_CASE("networks are read in one way, and one that matches nobody is an error") {
  for (const auto* key :
       {"[http]\ntrusted_proxies = ['%']\n", "[overrides.o]\nplan = 'p'\nip = '%'\n"}) {
    const auto with = [&](const std::string& network) {
      std::string text = key;
      return text.replace(text.find('%'), 1, network);
    };
    for (const auto* good : {"10.0.0.0/8", "::ffff:10.0.0.0/104", "::ffff:10.0.0.1", "fd00::/8"})
      CHECK(load_text(with(good)).has_value());
    CHECK_THAT(errors_of(with("fe80::1%lo")), Contains("zone"));
    CHECK_THAT(errors_of(with("::ffff:10.0.0.0/8")), Contains("IPv4-mapped"));
    CHECK_THAT(errors_of(with("10.0.0.1:80")), Contains("port"));
    CHECK_THAT(errors_of(with("[::1]")), Contains("brackets"));
    CHECK_THAT(errors_of(with("224.0.0.1")), Contains("no client"));
  }
  // Where it listens, a zone is no use either: nothing that opens the socket would take it.
  CHECK_THAT(errors_of("[http]\nlisten = '[fe80::1%lo]:8080'\n"), Contains("http.listen"));
}

TEST_CASE("a proxy that is everybody, and hosts that are not this one, are warned of") {
  CHECK(warned("[http]\ntrusted_proxies = ['10.0.0.0/8', '127.0.0.1']\n").empty());
  CHECK(warned("[http]\ntrusted_proxies = ['::1', 'fd00::/8', '172.16.0.0/12']\n").empty());
  for (const auto* network :
       {"0.0.0.0/0", "::/0", "::ffff:0.0.0.0/96", "128.0.0.0/1", "2000::/3"}) {
    const auto found = warned(std::string{"[http]\ntrusted_proxies = ['"} + network + "']\n");
    REQUIRE(found.size() == 1);
    CHECK_THAT(found[0],
               Contains("http.trusted_proxies") && Contains(network) && Contains("everybody"));
  }
  CHECK(warned("[admin]\nhosts = ['localhost', '127.0.0.1:8081']\n").empty());
  CHECK(warned("[admin]\nhosts = ['localhost', 'penstock.example']\n").size() == 1);
}

TEST_CASE("a node that strangers can reach is warned of, until something keeps them out") {
  CHECK(warned("").empty());
  CHECK(warned("[http]\nlisten = '127.0.0.2:8080'\n").empty());
  CHECK(warned("[http]\nlisten = '[::1]:8080'\n").empty());
  for (const auto* listen : {"0.0.0.0:8080", "[::]:8080", "192.0.2.1:8080", "[2001:db8::1]:80"}) {
    const auto http = std::string{"[http]\nlisten = '"} + listen + "'\n";
    const auto both = warned(http);
    REQUIRE(both.size() == 2);
    CHECK_THAT(both[0], Contains("identity.anonymous") && Contains("max_connections_per_address"));
    CHECK_THAT(both[1], Contains("TLS") && Contains("clear"));
    for (const auto* enough : {"max_connections_per_address = 100\n",
                               "unknown_streams = 'refuse'\n", "[identity]\nanonymous = 'refuse'\n",
                               "[overrides.bad]\nip = '203.0.113.0/24'\ndeny = true\n"}) {
      INFO(enough);
      const auto left = warned(http + enough);
      REQUIRE(left.size() == 1);
      CHECK_THAT(left[0], Contains("TLS"));
    }
    CHECK(warned(http + "[overrides.o]\nip = '203.0.113.0/24'\nplan = 'p'\n").size() == 2);
  }
}

} // namespace penstock
