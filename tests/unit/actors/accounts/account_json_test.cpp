#include "actors/accounts/account_json.hpp"

#include <catch2/catch.hpp>

using namespace penstock;

namespace {

key_record sample_key_record() {
  key_record key;
  key.id = "key_abcdefghij234567";
  key.version = 1'790'000'000'000'001;
  key.account = "acme@example.org";
  key.plan = "pro";
  for (std::size_t i = 0; i < key.hash.size(); ++i)
    key.hash[i] = static_cast<unsigned char>(7 * i);
  key.shown = "psk_live_ab";
  key.streams = {"errors", "usage"};
  key.origins = {"https://example.org"};
  key.networks = {"2001:db8::/32"};
  key.created_ms = 1'790'000'000'000;
  key.expires_ms = 1'800'000'000'000;
  key.revoked_ms = 5;
  return key;
}

plan_record sample_plan_record() {
  return {.name = "gold.2",
          .version = 3,
          .limits = R"([{"name":"daily","paths":["/v1/é"]}])",
          .changed_ms = 4,
          .deleted_ms = 5};
}

std::string without(std::string text, const std::string& part) {
  const auto at = text.find(part);
  REQUIRE(at != text.npos);
  return text.erase(at, part.size());
}

std::string with(std::string text, const std::string& part, const std::string& other) {
  const auto at = text.find(part);
  REQUIRE(at != text.npos);
  return text.replace(at, part.size(), other);
}

} // namespace

TEST_CASE("keys and plans are read from the directory as they were put there") {
  const auto key = sample_key_record();
  const auto put = to_directory(key);
  CHECK(put.key == "key.key_abcdefghij234567");
  REQUIRE(from_directory(put));
  CHECK(std::get<key_record>(*from_directory(put)) == key);
  const auto rules = sample_plan_record();
  CHECK(to_directory(rules).key == "plan.gold.2");
  CHECK(std::get<plan_record>(*from_directory(to_directory(rules))) == rules);
  // A newer version's field.
  const auto newer = with(put.value, "{", R"({"colour":["red",{"depth":1}],)");
  CHECK(std::get<key_record>(*from_directory({put.key, newer})) == key);
}

TEST_CASE("what is no key or plan of that name is not read from the directory") {
  const auto key = to_directory(sample_key_record());
  const auto rules = to_directory(sample_plan_record());
  for (const auto& value :
       {std::string{},
        std::string{"{}"},
        std::string{"[]"},
        std::string{"\"psk_live\""},
        key.value.substr(1),
        with(key.value, "\"version\":1790000000000001", "\"version\":0"),
        with(key.value, "\"version\":1790000000000001", "\"version\":18446744073709551615"),
        with(key.value, "\"version\":1790000000000001", "\"version\":-1"),
        with(key.value, "\"version\":1790000000000001", "\"version\":\"1\""),
        with(key.value, "abcdefghij234567", "abcdefghij234568"),
        with(key.value, "00070e", "00070"),
        with(key.value, "00070e", "0007zz"),
        with(key.value, "00070e", "0007-1"),
        without(key.value, "\"account\":\"acme@example.org\","),
        with(key.value, "acme@example.org", "a b"),
        with(key.value, "\"pro\"", "\"\""),
        with(key.value, "[\"errors\",\"usage\"]", "\"errors\""),
        with(key.value, "[\"errors\",\"usage\"]", "[1]"),
        with(key.value, "psk_live_ab", "psk_live_abc"),
        with(key.value, "\"errors\"", "\"" + std::string(70'000, 'x') + "\"")}) {
    CAPTURE(value.substr(0, 500));
    CHECK_FALSE(from_directory({key.key, value}));
  }
  for (const auto& value : {std::string{"{}"}, without(rules.value, "\"version\":3,"),
                            with(rules.value, "gold.2", "gold.3"),
                            with(rules.value, "\"deleted_ms\":5", "\"deleted_ms\":5.5")})
    CHECK_FALSE(from_directory({rules.key, value}));
  CHECK_FALSE(from_directory({"", key.value}));
  CHECK_FALSE(from_directory({"plan.key_abcdefghij234567", key.value}));
  CHECK_FALSE(from_directory({"other.x", key.value}));
}
