#include "storage/stores/api_key.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <set>

using namespace penstock;

namespace {

std::string hex(const key_hash& hash) {
  std::string out;
  for (const unsigned byte : hash) {
    out += "0123456789abcdef"[byte >> 4];
    out += "0123456789abcdef"[byte & 15];
  }
  return out;
}

} // namespace

TEST_CASE("the keyed hash is HMAC-SHA-256 (RFC 4231)", "[api_key]") {
  CHECK(hex(key_hasher{std::string(20, '\x0b')}("Hi There")) ==
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  CHECK(hex(key_hasher{"Jefe"}("what do ya want for nothing?")) ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  CHECK(hex(key_hasher{std::string(20, '\xaa')}(std::string(50, '\xdd'))) ==
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
  const key_hasher long_secret{std::string(131, '\xaa')};
  CHECK(hex(long_secret("Test Using Larger Than Block-Size Key - Hash Key First")) ==
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  // Once more: nothing is used up.
  CHECK(hex(long_secret("Test Using Larger Than Block-Size Key - Hash Key First")) ==
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST_CASE("hashes are equal when every byte is", "[api_key]") {
  const auto hash = key_hasher{"s"}("key");
  CHECK(same_hash(hash, key_hasher{"s"}("key")));
  CHECK_FALSE(same_hash(hash, key_hasher{"t"}("key")));
  for (std::size_t i = 0; i < hash.size(); ++i) {
    auto other = hash;
    other[i] ^= 1;
    CHECK_FALSE(same_hash(hash, other));
  }
}

TEST_CASE("keys have the form, never repeat, and use the whole alphabet", "[api_key]") {
  std::set<std::string> seen;
  std::map<char, int> counts;
  constexpr int keys = 2'000;
  for (int i = 0; i < keys; ++i) {
    const auto key = make_api_key();
    REQUIRE(key.has_value());
    REQUIRE(key->size() == api_key_size);
    REQUIRE(key->starts_with("psk_live_"));
    REQUIRE(is_api_key(*key));
    CHECK(seen.insert(*key).second);
    for (const char c : key->substr(9, 32))
      ++counts[c];
  }
  CHECK(counts.size() == 62);
  // 64,000 characters: 1032 each, standard deviation 32. A modulo bias would give some 1290.
  for (const auto& [c, count] : counts) {
    INFO(c);
    CHECK(count > 1032 - 200);
    CHECK(count < 1032 + 200);
  }
}

TEST_CASE("a key with one wrong character is none", "[api_key]") {
  const auto key = *make_api_key();
  for (std::size_t i = 0; i < key.size(); ++i)
    for (const char c : {'0', 'A', 'z', '!', '\0', ' '}) {
      auto wrong = key;
      wrong[i] = c;
      if (wrong != key) CHECK_FALSE(is_api_key(wrong));
    }
  auto swapped = key;
  for (std::size_t i = 9; i + 1 < key.size(); ++i) {
    swapped = key;
    std::swap(swapped[i], swapped[i + 1]);
    if (swapped != key) CHECK_FALSE(is_api_key(swapped));
  }
  CHECK_FALSE(is_api_key(""));
  CHECK_FALSE(is_api_key("psk_live_"));
  CHECK_FALSE(is_api_key(key.substr(1)));
  CHECK_FALSE(is_api_key(key.substr(0, key.size() - 1)));
  CHECK_FALSE(is_api_key(key + "0"));
  CHECK_FALSE(is_api_key(std::string(10'000'000, 'a')));
  // What zlib's crc32 says of it, in base62.
  CHECK(is_api_key("psk_live_000000000000000000000000000000001TrEXi"));
}

TEST_CASE("ids are names of their own", "[api_key]") {
  std::set<std::string> seen;
  for (int i = 0; i < 1'000; ++i) {
    const auto id = *make_key_id();
    CHECK(id.size() == 20);
    CHECK(id.starts_with("key_"));
    CHECK(id.find_first_not_of("abcdefghijklmnopqrstuvwxyz234567", 4) == id.npos);
    CHECK(seen.insert(id).second);
  }
}

TEST_CASE("keys are hidden wherever they stand in a text", "[api_key]") {
  const auto key = *make_api_key();
  const auto shown = key.substr(0, api_key_shown_size) + "…";
  CHECK(hide_keys("") == "");
  CHECK(hide_keys("no key") == "no key");
  CHECK(hide_keys(key) == shown);
  CHECK(hide_keys("/v1/admin/keys/" + key + "?a=" + key + "&b") ==
        "/v1/admin/keys/" + shown + "?a=" + shown + "&b");
  CHECK(hide_keys(key + key).find(key.substr(12, 5)) == std::string::npos);
  CHECK(hide_keys(key.substr(0, 20)) == shown); // a part of one too
  CHECK(hide_keys("psk_live_ab") == "psk_live_ab");
  CHECK(hide_keys("psk_live_") == "psk_live_");
}
