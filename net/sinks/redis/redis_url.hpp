// Where a Redis server is, from a redis:// or rediss:// URL.
#pragma once

#include "storage/base/result.hpp"

#include <cstdint>
#include <string>

namespace penstock {

struct redis_address {
  std::string host; ///< a name or an address, IPv6 without brackets
  std::uint16_t port = 6379;
  bool tls = false;     ///< rediss://
  std::string username; ///< empty: the default user
  std::string password; ///< empty: none. Never in messages
  std::uint32_t database = 0;

  /// "host:port", for messages.
  std::string name() const;
};

/// Parses redis://[user[:password]@]host[:port][/database] and the same with rediss://; user and
/// password may be percent-encoded. Errors: config, saying what is wrong but not the URL, which may
/// hold a password.
result<redis_address> parse_redis_url(const std::string& url);

} // namespace penstock
