// IP addresses and networks as bytes: parsing, containment, canonical form.
#pragma once

#include "storage/base/result.hpp"

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

/// An address and nothing else: no brackets, port, prefix or zone. IPv4 in dotted form only.
std::optional<ip_address> parse_plain_ip(std::string_view text);
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

/// What becomes of bits that are set past a network's prefix.
enum class host_bits : std::uint8_t { refused, dropped };

/// The one reading of a network, wherever one is written: "10.0.0.0/8", "2001:db8::/32", or a
/// single address. An IPv4-mapped one ("::ffff:10.0.0.0/104") is the IPv4 network, as peers'
/// addresses are. Errors (errc::invalid) say what is wrong with it, also that no client can ever be
/// in it: "10.0.0.1/8 has …" without the text itself.
result<ip_network> parse_network(std::string_view text, host_bits extra = host_bits::refused);
bool any_contains(const std::vector<ip_network>& networks, const ip_address& address);

} // namespace penstock
