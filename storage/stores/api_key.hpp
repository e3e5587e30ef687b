// API keys: making them, checking their form, and the keyed hash that is all we keep of one.
#pragma once

#include "storage/base/result.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace penstock {

/// "psk_live_", 32 random base62 characters (190 bits), and the CRC-32 of all that in 6 more: a
/// mistyped key, or a text that is none, is known without a look-up, and a scanner of source code
/// can tell a leaked key from noise.
inline constexpr std::string_view api_key_prefix = "psk_live_";
inline constexpr std::size_t api_key_size = 47;
/// So much of a key may be shown, to tell keys apart: the prefix and two characters.
inline constexpr std::size_t api_key_shown_size = api_key_prefix.size() + 2;

/// A new key. Errors: io, when the system gives no random bytes.
result<std::string> make_api_key();

/// True when prefix, length, alphabet and checksum are right: it may be a key that we gave out.
bool is_api_key(std::string_view text);
/// A glance at prefix and length. To look a key up costs less than to check its form, so the form
/// only tells what is wrong with a key that was not found.
inline bool may_be_api_key(std::string_view text) {
  return text.size() == api_key_size && text.starts_with(api_key_prefix);
}

/// A key's public name: "key_" and 16 base32 characters (80 random bits). Errors: io.
result<std::string> make_key_id();

/// The text with what looks like a key cut to "psk_live_ab…": for all that is logged or answered
/// and may quote what a client sent.
std::string hide_keys(std::string_view text);

inline constexpr std::size_t key_hash_size = 32;
using key_hash = std::array<unsigned char, key_hash_size>;

/// In a time that tells nothing of where they differ.
bool same_hash(const key_hash& a, const key_hash& b);

/// HMAC-SHA-256 with the cluster's secret. The state after each of the two pads is computed once,
/// so that a key costs two compressions. Immutable; any number of threads may use one.
class key_hasher {
 public:
  explicit key_hasher(std::string_view secret);
  key_hash operator()(std::string_view key) const;

 private:
  /// SHA-256's state after one block: OpenSSL's SHA256_CTX, which only the source file knows.
  struct midstate {
    alignas(8) std::array<unsigned char, 112> bytes{};
  };
  midstate inner_;
  midstate outer_;
};

} // namespace penstock
