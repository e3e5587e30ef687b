// IP addresses and networks as bytes: parsing, containment, canonical form.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// An IPv4 or IPv6 address; IPv4-mapped IPv6 addresses become IPv4, so that a client has one name
/// however it reached us.
struct ip_address {
  std::array<std::uint8_t, 16> bytes{}; ///< IPv4 in the first four
  bool v6 = false;

  /// The address with all bits past the prefix cleared.
  ip_address masked(unsigned prefix_bits) const;
  /// From the 16 bytes of an IPv6 address.
  static ip_address from_v6(const std::uint8_t* bytes);
  std::string_view raw() const {
    return {reinterpret_cast<const char*>(bytes.data()), v6 ? 16u : 4u};
  }
  bool operator==(const ip_address&) const = default;
};

/// A plain address, or one in brackets or with a port ("[::1]:80", "10.0.0.1:80"), as the
/// forwarding headers write them.
std::optional<ip_address> parse_ip(std::string_view text);
/// As the kernel writes it: "10.0.0.1", "2001:db8::1".
std::string to_text(const ip_address& address);

struct ip_network {
  ip_address base;
  unsigned prefix_bits = 0;
  bool contains(const ip_address& address) const;
};

/// "10.0.0.0/8" or a single address.
std::optional<ip_network> parse_network(std::string_view text);
bool any_contains(const std::vector<ip_network>& networks, const ip_address& address);

} // namespace penstock
