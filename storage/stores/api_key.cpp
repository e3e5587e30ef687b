// SHA-256's own functions copy a precomputed state ten times as fast as the EVP interface does.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "storage/stores/api_key.hpp"

#include <boost/crc.hpp>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <algorithm>
#include <cstring>

namespace penstock {

namespace {

constexpr std::string_view base62 =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
constexpr std::string_view base32 = "abcdefghijklmnopqrstuvwxyz234567";
constexpr std::size_t random_chars = 32;
constexpr std::size_t checksum_chars = 6;
static_assert(api_key_prefix.size() + random_chars + checksum_chars == api_key_size);
constexpr std::size_t id_chars = 16;
constexpr std::size_t sha256_block = 64;

bool is_base62(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

result<void> append_random(std::string& out, std::string_view alphabet, std::size_t count) {
  // Bytes from `usable` on would make the first characters of the alphabet likelier.
  const std::size_t usable = 256 / alphabet.size() * alphabet.size();
  const std::size_t end = out.size() + count;
  std::array<unsigned char, 64> bytes;
  while (out.size() < end) {
    if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1)
      return error{errc::io, "the system gives no random bytes"};
    for (const unsigned char byte : bytes)
      if (byte < usable && out.size() < end) out += alphabet[byte % alphabet.size()];
  }
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return {};
}

std::array<char, checksum_chars> key_checksum(std::string_view text) {
  boost::crc_32_type crc;
  crc.process_bytes(text.data(), text.size());
  std::uint32_t rest = crc.checksum();
  std::array<char, checksum_chars> digits;
  for (std::size_t i = checksum_chars; i-- > 0; rest /= base62.size())
    digits[i] = base62[rest % base62.size()];
  return digits;
}

/// The state after the secret, XORed with the pad's byte, as the first block.
void absorb(std::array<unsigned char, sha256_block> block, unsigned char pad, SHA256_CTX& state) {
  for (auto& byte : block)
    byte ^= pad;
  SHA256_Init(&state);
  SHA256_Update(&state, block.data(), block.size());
  OPENSSL_cleanse(block.data(), block.size());
}

} // namespace

result<std::string> make_api_key() {
  std::string key{api_key_prefix};
  key.reserve(api_key_size);
  if (auto done = append_random(key, base62, random_chars); !done) return done.error();
  const auto digits = key_checksum(key);
  key.append(digits.data(), digits.size());
  return key;
}

bool is_api_key(std::string_view text) {
  if (text.size() != api_key_size || !text.starts_with(api_key_prefix)) return false;
  const auto body = text.substr(api_key_prefix.size());
  if (!std::all_of(body.begin(), body.end(), is_base62)) return false;
  const auto digits = key_checksum(text.substr(0, api_key_size - checksum_chars));
  return text.ends_with(std::string_view{digits.data(), digits.size()});
}

result<std::string> make_key_id() {
  std::string id = "key_";
  if (auto done = append_random(id, base32, id_chars); !done) return done.error();
  return id;
}

std::string hide_keys(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (;;) {
    const auto at = text.find(api_key_prefix);
    if (at == text.npos) return out.append(text);
    const auto shown = std::min(at + api_key_shown_size, text.size());
    out.append(text.substr(0, shown));
    text.remove_prefix(shown);
    // The next key may follow without a gap.
    const auto end =
        std::find_if_not(text.begin(), text.end(), [](char c) { return is_base62(c) || c == '_'; });
    if (end != text.begin()) out += "…";
    text.remove_prefix(static_cast<std::size_t>(end - text.begin()));
  }
}

bool same_hash(const key_hash& a, const key_hash& b) {
  return CRYPTO_memcmp(a.data(), b.data(), key_hash_size) == 0;
}

key_hasher::key_hasher(std::string_view secret) {
  static_assert(sizeof(SHA256_CTX) == sizeof(midstate) && alignof(SHA256_CTX) <= alignof(midstate));
  std::array<unsigned char, sha256_block> block{};
  // RFC 2104: a longer secret is hashed first.
  if (secret.size() > block.size())
    SHA256(reinterpret_cast<const unsigned char*>(secret.data()), secret.size(), block.data());
  else
    std::copy(secret.begin(), secret.end(), block.begin());
  SHA256_CTX state;
  absorb(block, 0x36, state);
  std::memcpy(inner_.bytes.data(), &state, sizeof state);
  absorb(block, 0x5c, state);
  std::memcpy(outer_.bytes.data(), &state, sizeof state);
  OPENSSL_cleanse(block.data(), block.size());
  OPENSSL_cleanse(&state, sizeof state);
}

key_hash key_hasher::operator()(std::string_view key) const {
  key_hash hash;
  SHA256_CTX state;
  std::memcpy(&state, inner_.bytes.data(), sizeof state);
  SHA256_Update(&state, key.data(), key.size());
  SHA256_Final(hash.data(), &state);
  std::memcpy(&state, outer_.bytes.data(), sizeof state);
  SHA256_Update(&state, hash.data(), hash.size());
  SHA256_Final(hash.data(), &state);
  return hash;
}

} // namespace penstock
