// Addresses, networks and names of streams.
#include "net/base/network.hpp"
#include "net/base/stream_name.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <catch2/catch.hpp>

using namespace penstock;

TEST_CASE("addresses: plain, in brackets, with a port; nothing else") {
  for (const auto* good : {"10.0.0.1", "10.0.0.1:80", "::1", "[::1]", "[::1]:80", "2001:db8::5",
                           "::ffff:1.2.3.4", "[10.0.0.1]"}) {
    INFO(good);
    CHECK(parse_ip(good));
  }
  for (const auto* bad :
       {"",          "10.0.0",     "10.0.0.256",      "10.0.0.1.1",   "[::1",   "::1::",   "host",
        "1",         " 10.0.0.1",  "10.0.0.1 ",       "fe80::1%eth0", ":80",    "[]",      "[]:80",
        "10.0.0.1:", "10.0.0.1:x", "10.0.0.1:123456", "[::1]:",       "[::1]x", "[::1]:-1"}) {
    INFO(bad);
    CHECK_FALSE(parse_ip(bad));
  }
  CHECK_FALSE(parse_ip(std::string(10'000, '1')));
  CHECK_FALSE(parse_ip(std::string_view{"10.0.0.1\0", 9}));
}

TEST_CASE("addresses: IPv4 in IPv6 is IPv4") {
  CHECK(parse_ip("::ffff:10.0.0.1") == parse_ip("10.0.0.1"));
  CHECK(parse_ip("::ffff:0:a00:1") != parse_ip("10.0.0.1"));
  const auto v4_address = *parse_ip("10.0.0.1"), v6_address = *parse_ip("::1");
  CHECK(v4_address.raw() == std::string_view{"\x0a\0\0\x01", 4});
  CHECK(v6_address.raw().size() == 16);
  sockaddr_storage address{};
  auto& v6 = reinterpret_cast<sockaddr_in6&>(address);
  v6.sin6_family = AF_INET6;
  inet_pton(AF_INET6, "::ffff:10.0.0.1", &v6.sin6_addr);
  CHECK(ip_from(address) == *parse_ip("10.0.0.1"));
  inet_pton(AF_INET6, "2001:db8::5", &v6.sin6_addr);
  CHECK(ip_from(address) == *parse_ip("2001:db8::5"));
  address = {};
  auto& v4 = reinterpret_cast<sockaddr_in&>(address);
  v4.sin_family = AF_INET;
  inet_pton(AF_INET, "10.0.0.1", &v4.sin_addr);
  CHECK(ip_from(address) == *parse_ip("10.0.0.1"));
}

TEST_CASE("networks: every length of prefix") {
  const auto all = *parse_ip("255.255.255.255");
  for (unsigned bits = 0; bits <= 32; ++bits) {
    std::uint32_t kept = 0;
    const auto masked = all.masked(bits);
    for (auto byte : masked.raw())
      kept = kept << 8 | static_cast<unsigned char>(byte);
    CHECK(kept == (bits == 0 ? 0 : ~0u << (32 - bits)));
  }
  CHECK(parse_ip("ffff:ffff::ffff")->masked(33) == *parse_ip("ffff:ffff::"));
  CHECK(parse_ip("::1")->masked(128) == *parse_ip("::1"));
  CHECK(parse_ip("::1")->masked(127) == *parse_ip("::"));
}

TEST_CASE("networks: what they contain") {
  const auto net = parse_network("10.0.0.0/15");
  REQUIRE(net.has_value());
  CHECK(net->contains(*parse_ip("10.0.255.255")));
  CHECK(net->contains(*parse_ip("10.1.0.0")));
  CHECK_FALSE(net->contains(*parse_ip("10.2.0.0")));
  CHECK_FALSE(net->contains(*parse_ip("a00::"))); // the same bytes as IPv6
  CHECK(parse_network("::/0")->contains(*parse_ip("2001:db8::5")));
  CHECK_FALSE(parse_network("::/0")->contains(*parse_ip("10.0.0.1")));
  CHECK(parse_network("10.0.0.1")->contains(*parse_ip("10.0.0.1")));
  CHECK_FALSE(parse_network("10.0.0.1")->contains(*parse_ip("10.0.0.2")));
  for (const auto* bad : {"10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/8x", "10.0.0.0/-1",
                          "10.0.0.0/+8", "/8", "net/8", "10.0.0.0/8/8", "", "10.0.0.0/a"}) {
    INFO(bad);
    CHECK_FALSE(parse_network(bad).has_value());
  }
  const std::vector<ip_network> two{*parse_network("10.0.0.0/8"), *parse_network("::1")};
  CHECK(any_contains(two, *parse_ip("::1")));
  CHECK(any_contains(two, *parse_ip("10.9.9.9")));
  CHECK_FALSE(any_contains(two, *parse_ip("11.0.0.0")));
  CHECK_FALSE(any_contains({}, *parse_ip("::1")));
}

TEST_CASE("networks: an IPv4-mapped one is the IPv4 network") {
  for (const auto* mapped :
       {"::ffff:10.0.0.0/104", "::ffff:a00:0/104", "0:0:0:0:0:ffff:10.0.0.0/104"}) {
    INFO(mapped);
    const auto network = parse_network(mapped);
    REQUIRE(network.has_value());
    CHECK(network->prefix_bits == 8);
    CHECK(network->contains(*parse_ip("10.1.2.3")));
    CHECK(network->contains(*parse_ip("::ffff:10.1.2.3")));
    CHECK_FALSE(network->contains(*parse_ip("11.0.0.1")));
  }
  CHECK(parse_network("::ffff:10.0.0.1")->contains(*parse_ip("10.0.0.1")));
  CHECK(parse_network("::ffff:10.0.0.1/128")->prefix_bits == 32);
  CHECK(parse_network("::ffff:0:0/96")->contains(*parse_ip("10.0.0.1")));
}

TEST_CASE("networks: what no client can ever be in is an error that says why") {
  const std::vector<std::pair<const char*, const char*>> rows{
      {"fe80::1%lo", "zone"},
      {"fe80::%eth0/64", "zone"},
      {"fe80::/64%eth0", "zone"},
      {"10.0.0.1%eth0", "zone"},
      {"::ffff:10.0.0.0/8", "IPv4-mapped"},
      {"::ffff:0:0/95", "IPv4-mapped"},
      {"::ffff:10.0.0.1/104", "write 10.0.0.0/8"},
      {"10.0.0.1/8", "write 10.0.0.0/8"},
      {"::1/64", "write ::/64"},
      {"[::1]", "brackets"},
      {"[::1]/128", "brackets"},
      {"10.0.0.1:80", "port"},
      {"0.0.0.0", "no client"},
      {"0.1.0.0/16", "no client"},
      {"224.0.0.0/4", "no client"},
      {"239.1.2.3", "no client"},
      {"::", "no client"},
      {"::10.0.0.0/104", "no client"},
      {"ff00::/8", "no client"},
      {"ff02::1", "no client"},
      {"localhost", "no IP address"},
      {"10.0.0/8", "no IP address"},
      {"010.0.0.0/8", "no IP address"},
      {"10.0.0.0/33", "0 to 32"},
      {"::ffff:10.0.0.0/129", "0 to 128"},
  };
  for (const auto& [text, why] : rows) {
    INFO(text);
    const auto network = parse_network(text);
    REQUIRE_FALSE(network.has_value());
    INFO(network.error().message);
    CHECK(network.error().message.find(why) != std::string::npos);
  }
  for (const auto* good : {"0.0.0.0/0", "::/0", "::1", "::/96", "127.0.0.0/8", "240.0.0.0/4",
                           "fe80::/10", "fd00::/8", "::1/128", "127.0.0.1/32", "64:ff9b::/96"}) {
    INFO(good);
    CHECK(parse_network(good).has_value());
  }
}

TEST_CASE("networks: bits past the prefix are dropped where that is asked for") {
  const auto kept = parse_network("10.1.2.3/15", host_bits::dropped);
  REQUIRE(kept.has_value());
  CHECK(kept->contains(*parse_ip("10.0.255.255")));
  CHECK_FALSE(parse_network("fe80::1%lo", host_bits::dropped).has_value());
}

TEST_CASE("stream names: the characters and the length") {
  for (const auto* good : {"a", "default", "A.b_c-9", "-", "...", ".a", "a.", "a..b", "..a", "_"})
    CHECK(is_stream_name(good));
  for (const auto* bad : {"", "a b", "a/b", "a%2Fb", "snö", "a\n", "a:", "a+", ".", ".."})
    CHECK_FALSE(is_stream_name(bad));
  CHECK_FALSE(is_stream_name(std::string_view{"a\0", 2}));
  CHECK(is_stream_name(std::string(max_stream_name_bytes, 'a')));
  CHECK_FALSE(is_stream_name(std::string(max_stream_name_bytes + 1, 'a')));
  for (int c = 0; c < 256; ++c) { // the neighbours of every range
    const char text = static_cast<char>(c);
    const bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    CHECK(is_stream_name({&text, 1}) == (plain || c == '_' || c == '-'));
    CHECK(is_stream_name(std::string{text, 'a'}) == (plain || c == '.' || c == '_' || c == '-'));
  }
}
