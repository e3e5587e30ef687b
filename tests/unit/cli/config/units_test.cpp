#include "actors/base/did_you_mean.hpp"
#include "actors/base/units.hpp"
#include "cli/config/address.hpp"

#include <catch2/catch.hpp>

using namespace penstock;
using namespace std::chrono_literals;

TEST_CASE("sizes take units") {
  CHECK(parse_size("0B") == 0u);
  CHECK(parse_size("100B") == 100u);
  CHECK(parse_size("10kB") == 10'000u);
  CHECK(parse_size("1MiB") == 1u << 20);
  CHECK(parse_size("1 MiB") == 1u << 20);
  CHECK(parse_size("10GiB") == 10ull << 30);
  CHECK(parse_size("2TB") == 2'000'000'000'000u);
  CHECK(parse_size("18446744073709551615B") == ~0ull);
  for (const auto* bad : {"", "1", "MiB", "-1B", "1.5MiB", "1Mib", "1  MiB", "1MiB ", " 1B", "+1B",
                          "18446744073709551616B", "16777216TiB", "0x10B"})
    CHECK_FALSE(parse_size(bad));
}

TEST_CASE("durations take units") {
  CHECK(parse_duration("0s") == 0ms);
  CHECK(parse_duration("250ms") == 250ms);
  CHECK(parse_duration("30s") == 30s);
  CHECK(parse_duration("5m") == 5min);
  CHECK(parse_duration("1h") == 1h);
  CHECK(parse_duration("1d") == 24h);
  for (const auto* bad :
       {"", "5", "s", "-1s", "1us", "1.5s", "1M", "1s1ms", "9223372036854775807ms", "106752d"})
    CHECK_FALSE(parse_duration(bad));
  CHECK(parse_duration("106751d")); // the last whose nanoseconds fit
}

TEST_CASE("formatting takes the largest unit that is exact") {
  CHECK(format_size(0) == "0B");
  CHECK(format_size(1000) == "1000B");
  CHECK(format_size(1 << 20) == "1MiB");
  CHECK(format_size((1 << 20) + 1024) == "1025KiB");
  CHECK(format_duration(0ms) == "0ms");
  CHECK(format_duration(1500ms) == "1500ms");
  CHECK(format_duration(90s) == "90s");
  CHECK(format_duration(48h) == "2d");
}

TEST_CASE("the nearest word is few edits away") {
  const std::vector<std::string> keys{"listen", "threads", "max_body"};
  CHECK(nearest("lisen", keys) == "listen");
  CHECK(nearest("lsiten", keys) == "listen");
  CHECK(nearest("maxbody", keys) == "max_body");
  CHECK(nearest("banana", keys).empty());
  CHECK(nearest("", keys).empty());
  CHECK(nearest(std::string(100'000, 'x'), keys).empty());
}

TEST_CASE("addresses are IP addresses with a port") {
  CHECK(parse_host_port("127.0.0.1:0")->port == 0);
  CHECK(parse_host_port("[::1]:8080")->host == "::1");
  CHECK(parse_host_port("0.0.0.0:65535")->port == 65535);
  for (const auto* bad : {"", ":80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1",
                          "::1:80", "[127.0.0.1]:80", "localhost:80", "1.2.3:80", "127.0.0.1:80 "})
    CHECK_FALSE(parse_host_port(bad));
  CHECK(is_loopback({"127.9.9.9", 1}));
  CHECK(is_loopback({"::1", 1}));
  CHECK_FALSE(is_loopback({"0.0.0.0", 1}));
  CHECK(is_wildcard({"::", 1}));
}
