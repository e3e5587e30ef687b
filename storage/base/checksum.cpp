#include "storage/base/checksum.hpp"

#include <openssl/sha.h>

#include <algorithm>
#include <array>

namespace penstock {

std::string checksum_letters(std::string_view text, std::size_t letters) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  std::string spelt;
  for (const auto byte : digest)
    for (const int half : {byte >> 4, byte & 15})
      spelt += static_cast<char>('a' + half);
  spelt.resize(std::min(letters, spelt.size()));
  return spelt;
}

std::string readable_name(std::string_view name) {
  constexpr std::size_t max_bytes = 128;
  std::string text{name.substr(0, max_bytes)};
  for (auto& c : text)
    if (c < ' ' || c > '~') c = '?';
  return text;
}

} // namespace penstock
