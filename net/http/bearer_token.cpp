#include "net/http/bearer_token.hpp"

#include <boost/beast/core/string.hpp>
#include <openssl/crypto.h>
#include <openssl/sha.h>

namespace penstock {

bearer_token::digest bearer_token::sha256(std::string_view text) {
  digest out;
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), out.data());
  return out;
}

bearer_token::bearer_token(std::string_view token)
    : open_{token.empty()}, expected_{sha256(token)} {}

bool bearer_token::admits(std::string_view authorization) const {
  if (open_) return true;
  constexpr std::string_view scheme = "Bearer ";
  const auto presented_scheme = authorization.substr(0, scheme.size());
  if (!boost::beast::iequals({presented_scheme.data(), presented_scheme.size()},
                             {scheme.data(), scheme.size()}))
    return false;
  return is(authorization.substr(scheme.size()));
}

bool bearer_token::is(std::string_view token) const {
  if (open_) return true;
  const auto presented = sha256(token);
  return CRYPTO_memcmp(presented.data(), expected_.data(), expected_.size()) == 0;
}

} // namespace penstock
