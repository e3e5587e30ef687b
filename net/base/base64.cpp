#include "net/base/base64.hpp"

#include <openssl/evp.h>

namespace penstock {

void append_base64(std::string& out, std::string_view bytes) {
  constexpr std::size_t chunk = 3u << 20; // OpenSSL counts in int; multiples of 3 need no padding
  for (std::size_t at = 0; at < bytes.size(); at += chunk) {
    const auto part = bytes.substr(at, chunk);
    const auto begin = out.size();
    const auto coded = (part.size() + 2) / 3 * 4;
    out.resize(begin + coded + 1); // OpenSSL ends it with a zero
    EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data() + begin),
                    reinterpret_cast<const unsigned char*>(part.data()),
                    static_cast<int>(part.size()));
    out.resize(begin + coded);
  }
}

} // namespace penstock
