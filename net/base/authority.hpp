// Whom a request names: the host and port of a Host header, an origin, an entry of admin.hosts.
#pragma once

#include "actors/base/ip_network.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace penstock {

/// The longest host that is taken, as in the domain name system.
inline constexpr std::size_t max_host_chars = 253;

struct authority {
  std::string host;                    ///< lower case, without brackets or a dot at its end
  std::optional<ip_address> address{}; ///< when the host is one
  std::optional<std::uint16_t> port{};

  /// `localhost`, 127.0.0.0/8 or ::1, also as an IPv4-mapped address.
  bool is_loopback() const;
  /// The same host, whatever the ports; addresses are compared as such, however they are written.
  bool same_host(const authority& other) const;
};

/// "localhost", "localhost:8081", "127.0.0.1:", "[::1]:8081"; nothing for anything else. IPv4
/// addresses have four decimal parts: what only looks like one ("127.1") is a name.
std::optional<authority> parse_authority(std::string_view text);

} // namespace penstock
