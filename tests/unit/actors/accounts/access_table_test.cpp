#include "actors/accounts/access_table.hpp"
#include "actors/limits/plan_set.hpp"
#include "tests/unit/actors/fake_hash.hpp"

#include <catch2/catch.hpp>

#include <map>

using namespace penstock;

namespace {

key_hash hash_of(std::uint64_t number, unsigned char tail = 0) {
  key_hash hash{};
  for (std::size_t i = 0; i < 8; ++i)
    hash[i] = static_cast<unsigned char>(number >> (8 * i));
  hash[31] = tail;
  return hash;
}

access_entry_ptr entry(const std::string& id) {
  auto made = std::make_shared<access_entry>();
  made->id = id;
  return made;
}

std::string id_at(const access_table& table, const key_hash& hash) {
  const auto* found = table.find(hash);
  return found ? found->entry->id : "-";
}

} // namespace

TEST_CASE("an empty table finds nothing", "[access]") {
  const access_table none;
  CHECK(none.find(hash_of(0)) == nullptr);
  CHECK(none.find(hash_of(~0ull, 255)) == nullptr);
  CHECK(none.size() == 0);
}

TEST_CASE("hashes with equal first 8 bytes, made so on purpose, are told apart", "[access]") {
  std::vector<access_rows::row> rows;
  for (unsigned char tail = 0; tail < 200; ++tail)
    rows.push_back({hash_of(42, tail), entry("a" + std::to_string(tail))});
  // And others that share a bucket, whose numbers differ in their low bits only.
  for (std::uint64_t i = 0; i < 200; ++i)
    rows.push_back({hash_of(43 + i, 7), entry("b" + std::to_string(i))});
  const access_table base{rows};
  const access_table overlay = access_table{}.with(rows);
  for (const auto* table : {&base, &overlay}) {
    CHECK(table->size() == 400);
    for (unsigned char tail = 0; tail < 200; ++tail)
      REQUIRE(id_at(*table, hash_of(42, tail)) == "a" + std::to_string(tail));
    for (std::uint64_t i = 0; i < 200; ++i)
      REQUIRE(id_at(*table, hash_of(43 + i, 7)) == "b" + std::to_string(i));
    CHECK(id_at(*table, hash_of(42, 200)) == "-");
    CHECK(id_at(*table, hash_of(41, 7)) == "-");
  }
  // One of them is revoked; the others, which are found behind it, stay.
  const auto fewer = base.with({{hash_of(42, 0), nullptr}});
  CHECK(id_at(fewer, hash_of(42, 0)) == "-");
  CHECK(id_at(fewer, hash_of(42, 1)) == "a1");
  CHECK(id_at(base, hash_of(42, 0)) == "a0"); // a snapshot does not change
  CHECK(fewer.size() == 399);
}

TEST_CASE("of two rows with one hash the later counts", "[access]") {
  const auto table = access_table{}.with({{hash_of(1), entry("first")},
                                          {hash_of(1), nullptr},
                                          {hash_of(1), entry("last")},
                                          {hash_of(2), entry("x")},
                                          {hash_of(2), nullptr}});
  CHECK(id_at(table, hash_of(1)) == "last");
  CHECK(id_at(table, hash_of(2)) == "-");
  CHECK(table.size() == 1);
}

TEST_CASE("a change copies the overlay and not the base, until it is merged", "[access]") {
  std::vector<access_rows::row> rows;
  for (std::uint64_t i = 0; i < 5'000; ++i)
    rows.push_back({hash_of(i * 0x9e3779b97f4a7c15, 1), entry(std::to_string(i))});
  access_table table{rows};
  const auto base_bytes = table.memory_bytes();
  for (std::size_t i = 0; i < 50; ++i) {
    table = table.with({{rows[i].hash, nullptr}});
    REQUIRE(table.overlay_size() == i + 1);
  }
  std::vector<access_rows::row> more;
  for (std::size_t i = 50; i < access_table::max_overlay; ++i)
    more.push_back({rows[i].hash, nullptr});
  table = table.with(more);
  REQUIRE(table.overlay_size() == access_table::max_overlay);
  CHECK(table.memory_bytes() < base_bytes + 200'000);
  CHECK(table.size() == 5'000 - access_table::max_overlay);
  table = table.with({{hash_of(3, 3), entry("one more")}});
  CHECK(table.overlay_size() == 0);
  CHECK(table.size() == 5'001 - access_table::max_overlay);
  CHECK(id_at(table, rows[0].hash) == "-");
  CHECK(id_at(table, rows[access_table::max_overlay].hash) == std::to_string(1024));
  CHECK(id_at(table, hash_of(3, 3)) == "one more");
}

TEST_CASE("a table is what a map is, whatever changes come", "[access]") {
  std::uint64_t seed = 1;
  const auto random = [&seed](std::uint64_t below) {
    seed = seed * 6364136223846793005 + 1442695040888963407;
    return (seed >> 33) % below;
  };
  std::map<key_hash, std::string> model;
  access_table table;
  for (int round = 0; round < 150; ++round) {
    std::vector<access_rows::row> changes;
    for (auto n = random(20); n > 0; --n) {
      // Few places and many tails, so that they collide.
      const auto hash = hash_of(random(50), static_cast<unsigned char>(random(30)));
      if (random(3) == 0) {
        model.erase(hash);
        changes.push_back({hash, nullptr});
      } else {
        const auto id = std::to_string(round) + "." + std::to_string(n);
        model[hash] = id;
        changes.push_back({hash, entry(id)});
      }
    }
    table = table.with(changes);
    REQUIRE(table.size() == model.size());
  }
  for (std::uint64_t place = 0; place < 50; ++place)
    for (unsigned tail = 0; tail < 30; ++tail) {
      const auto hash = hash_of(place, static_cast<unsigned char>(tail));
      const auto known = model.find(hash);
      REQUIRE(id_at(table, hash) == (known == model.end() ? "-" : known->second));
    }
}

TEST_CASE("an entry has the hashes of its account and of itself", "[access]") {
  key_record record;
  record.id = "key_a";
  record.account = "acme";
  record.plan = "pro";
  record.expires_ms = 17;
  const auto made = make_access_entry(record, fake_hash);
  CHECK(made->client == fake_hash("account", "acme"));
  CHECK(made->key_client == fake_hash("key", "key_a"));
  CHECK(made->plan == "pro");
  CHECK(made->plan_id == plan_id("pro"));
  CHECK(made->expires_ms == 17);
  CHECK(made->only == nullptr);
}

TEST_CASE("each restriction is checked, and named", "[access]") {
  key_record record;
  const auto here = *parse_ip("203.0.113.9");
  const auto use = [&](std::string_view stream, std::string_view origin, const ip_address& from,
                       std::int64_t now_ms = 0) {
    return may_use(*make_access_entry(record, fake_hash), stream, origin, from, now_ms);
  };
  CHECK(use("any", "", here) == restriction::none);
  record.expires_ms = 1'000;
  CHECK(use("any", "", here, 999) == restriction::none);
  CHECK(use("any", "", here, 1'000) == restriction::expired);
  record.expires_ms = 0;

  record.streams = {"errors", "logs"};
  CHECK(use("logs", "", here) == restriction::none);
  CHECK(use("Logs", "", here) == restriction::stream);
  CHECK(use("", "", here) == restriction::stream);
  record.streams = {};

  record.origins = {"https://example.org", "http://localhost:8080"};
  CHECK(use("s", "https://example.org", here) == restriction::none);
  CHECK(use("s", "HTTPS://Example.ORG", here) == restriction::none);
  CHECK(use("s", "http://localhost:8080", here) == restriction::none);
  for (const auto* wrong : {"", "https://example.org.evil.com", "https://example.or",
                            "http://example.org", "https://sub.example.org", "http://localhost"})
    CHECK(use("s", wrong, here) == restriction::origin);
  record.origins = {};

  record.networks = {"203.0.113.0/24", "2001:db8::/32"};
  CHECK(use("s", "", here) == restriction::none);
  CHECK(use("s", "", *parse_ip("2001:db8::1")) == restriction::none);
  CHECK(use("s", "", *parse_ip("::ffff:203.0.113.1")) == restriction::none);
  CHECK(use("s", "", *parse_ip("203.0.114.1")) == restriction::network);
  // One that can't be read, edited by hand, allows nobody rather than all.
  record.networks = {"nonsense"};
  CHECK(use("s", "", here) == restriction::network);
}

TEST_CASE("origins are kept as browsers send them", "[access]") {
  CHECK(normal_origin("https://example.org") == "https://example.org");
  CHECK(normal_origin("HTTPS://Example.org:443") == "https://example.org");
  CHECK(normal_origin("http://example.org:80") == "http://example.org");
  CHECK(normal_origin("http://example.org:443") == "http://example.org:443");
  CHECK(normal_origin("http://[2001:DB8::1]:8080") == "http://[2001:db8::1]:8080");
  CHECK(normal_origin("http://[::1]") == "http://[::1]");
  for (const auto* bad : {"", "example.org", "https://", "https:///", "https://example.org/",
                          "https://a/b", "https://a?b", "ftp://a", "https://a:b", "https://a:",
                          "https://:80", "https://a b", "https://user@a", "https://*.example.org",
                          "http://[::1", "http://[]", "http://[x]:80", "https://a:123456", "null"})
    CHECK(normal_origin(bad) == "");
  CHECK(normal_origin("https://" + std::string(300, 'a')) == "");
}
