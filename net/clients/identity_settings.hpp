// What the configuration says of how clients are told apart.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace penstock {

/// One way to tell who is calling; tried in the configured order, the first match wins.
enum class identity_source : std::uint8_t {
  bearer,
  x_api_key,
  query,
  header,
  cookie,
  referer,
  ip,
  path
};
struct identity_rule {
  identity_source source = identity_source::ip;
  std::string name; ///< of the header (lower case) or cookie; the prefix of a path
};

struct identity_settings {
  std::vector<identity_rule> order{{identity_source::ip, ""}};
  std::uint32_t ipv4_prefix = 32;
  std::uint32_t ipv6_prefix = 64;
  /// Who has no API key gets 401. An order that looks for none gets bearer and x-api-key in front.
  bool refuse_anonymous = false;
};

} // namespace penstock
