// Addresses as the configuration writes them. Pure: nothing is resolved.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace penstock {

struct host_port {
  std::string host; ///< an IP address, without brackets
  std::uint16_t port = 0;
};

/// "127.0.0.1:8080" or "[::1]:8080"; host names are not accepted, since who a node listens to
/// must not depend on a name server.
std::optional<host_port> parse_host_port(std::string_view text);

bool is_loopback(const host_port& address);
/// 0.0.0.0 or ::, every address of the machine.
bool is_wildcard(const host_port& address);

} // namespace penstock
