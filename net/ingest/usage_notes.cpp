#include "net/ingest/usage_notes.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstring>
#include <random>

namespace penstock {

usage_hasher::usage_hasher() {
  std::random_device random;
  for (std::size_t at = 0; at < secret_.size(); at += sizeof(random())) {
    const auto bits = random();
    std::memcpy(secret_.data() + at, &bits, sizeof bits);
  }
}

std::uint64_t usage_hasher::operator()(std::string_view text) const {
  return XXH3_64bits_withSecret(text.data(), text.size(), secret_.data(), secret_.size());
}

} // namespace penstock
