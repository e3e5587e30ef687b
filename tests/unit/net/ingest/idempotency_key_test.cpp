// Keys as clients write them, and the hashes that stand for them.
#include "net/ingest/idempotency_key.hpp"

#include <catch2/catch.hpp>

#include <set>

using namespace penstock;

TEST_CASE("idempotency key: quoted or bare") {
  CHECK(parse_idempotency_key("abc") == "abc");
  CHECK(parse_idempotency_key("\"abc\"") == "abc");
  CHECK(parse_idempotency_key(R"("a \"b\" \\ c")") == R"(a "b" \ c)");
  CHECK(parse_idempotency_key("8e03978e-40d5-43e8-bc93-6894a57f9324").has_value());
  CHECK(parse_idempotency_key(std::string(255, 'x')).has_value());
  CHECK(parse_idempotency_key('"' + std::string(255, 'x') + '"').has_value());
}

TEST_CASE("idempotency key: what is none") {
  for (std::string_view bad :
       {"", "\"\"", "\"", "\"a", "a\"", "a\"b", "\"a\"b\"", "\"a\\", "\"a\\\"", "\"a\\b\"", "a\tb",
        "\"a\tb\"", "\x7f", "é", "\"a\";p=1"}) {
    INFO(bad);
    CHECK_FALSE(parse_idempotency_key(bad));
  }
  CHECK_FALSE(parse_idempotency_key(std::string(256, 'x')));
  CHECK_FALSE(parse_idempotency_key('"' + std::string(256, 'x') + '"'));
}

TEST_CASE("idempotency key: hashes keep clients, kinds and parts apart") {
  const idempotency_hasher hash{"secret"}, other{"another"};
  std::set<std::pair<std::uint64_t, std::uint64_t>> seen;
  const auto is_new = [&](const idempotency_key& key) {
    return seen.insert({key.high, key.low}).second;
  };
  CHECK(is_new(hash.of_header(1, "k")));
  CHECK(is_new(hash.of_header(2, "k")));
  CHECK(is_new(other.of_header(1, "k")));
  CHECK(is_new(hash.of_event(1, "k", "")));
  CHECK(is_new(hash.of_event(1, "", "k")));
  CHECK(is_new(hash.of_event(1, "ab", "c")));
  CHECK(is_new(hash.of_event(1, "a", "bc")));
  CHECK_FALSE(is_new(hash.of_event(1, "a", "bc")));

  std::set<std::uint64_t> contents{
      hash.of_content({"s", "t", "ab"}), hash.of_content({"s", "ta", "b"}),
      hash.of_content({"st", "", "ab"}), hash.of_content({"s", "t", "ab", ""}),
      other.of_content({"s", "t", "ab"})};
  CHECK(contents.size() == 5);
  CHECK(hash.of_content({"s", "t", "ab"}) == hash.of_content({"s", "t", "ab"}));
}
