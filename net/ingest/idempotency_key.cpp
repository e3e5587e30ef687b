#include "net/ingest/idempotency_key.hpp"

#include <openssl/sha.h>
#include <xxhash.h>

#include <algorithm>
#include <cstring>

namespace penstock {

namespace {

bool is_printable(char c) {
  return c >= 0x20 && c < 0x7f;
}

// Nothing if the quotes or a backslash are not as they should be.
std::optional<std::string> unquoted(std::string_view text) {
  std::string out;
  for (std::size_t i = 1; i + 1 < text.size(); ++i) {
    if (text[i] == '"') return std::nullopt;
    if (text[i] == '\\') {
      ++i;
      if (i + 1 >= text.size() || (text[i] != '"' && text[i] != '\\')) return std::nullopt;
    }
    out += text[i];
  }
  return out;
}

} // namespace

std::optional<std::string> parse_idempotency_key(std::string_view field) {
  if (!std::all_of(field.begin(), field.end(), is_printable)) return std::nullopt;
  std::optional<std::string> key;
  if (field.size() >= 2 && field.front() == '"' && field.back() == '"')
    key = unquoted(field);
  else if (field.find('"') == std::string_view::npos)
    key = std::string{field};
  if (!key || key->empty() || key->size() > max_idempotency_key_chars) return std::nullopt;
  return key;
}

idempotency_hasher::idempotency_hasher(std::string_view secret) {
  for (std::size_t i = 0; i * SHA256_DIGEST_LENGTH < secret_bytes; ++i) {
    std::string block = "penstock idempotency " + std::to_string(i) + ":";
    block += secret;
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256(reinterpret_cast<const unsigned char*>(block.data()), block.size(), digest);
    const auto at = i * SHA256_DIGEST_LENGTH;
    std::memcpy(secret_.data() + at, digest, std::min(sizeof digest, secret_bytes - at));
  }
}

static idempotency_key hash_key(const std::array<char, idempotency_hasher::secret_bytes>& secret,
                                char kind, std::uint64_t client, std::string_view a,
                                std::string_view b) {
  // The length of the first text tells where the second begins.
  const auto size = static_cast<std::uint64_t>(a.size());
  std::string text{kind};
  text.append(reinterpret_cast<const char*>(&client), sizeof client);
  text.append(reinterpret_cast<const char*>(&size), sizeof size);
  text.append(a).append(b);
  const auto hash = XXH3_128bits_withSecret(text.data(), text.size(), secret.data(), secret.size());
  return {hash.high64, hash.low64};
}

idempotency_key idempotency_hasher::of_header(std::uint64_t client, std::string_view key) const {
  return hash_key(secret_, 'h', client, key, {});
}

idempotency_key idempotency_hasher::of_event(std::uint64_t client, std::string_view source,
                                             std::string_view id) const {
  return hash_key(secret_, 'c', client, source, id);
}

idempotency_key idempotency_hasher::of_relayed(std::uint64_t client,
                                               std::string_view relayed_id) const {
  return hash_key(secret_, 'p', client, relayed_id, {});
}

std::uint64_t idempotency_hasher::of_content(std::initializer_list<std::string_view> parts) const {
  // A hash of hashes, so that no byte can move from one part to the next unnoticed.
  std::uint64_t whole = 0;
  for (auto part : parts) {
    const std::uint64_t pair[] = {
        whole, XXH3_64bits_withSecret(part.data(), part.size(), secret_.data(), secret_.size())};
    whole = XXH3_64bits_withSecret(pair, sizeof pair, secret_.data(), secret_.size());
  }
  return whole;
}

} // namespace penstock
