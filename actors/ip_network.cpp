#include "actors/ip_network.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace penstock {

ip_address ip_address::from_v6(const std::uint8_t* bytes) {
  static constexpr std::uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  ip_address result;
  if (std::memcmp(bytes, mapped, sizeof mapped) == 0) {
    std::memcpy(result.bytes.data(), bytes + 12, 4);
  } else {
    std::memcpy(result.bytes.data(), bytes, 16);
    result.v6 = true;
  }
  return result;
}

ip_address ip_address::masked(unsigned prefix_bits) const {
  ip_address result = *this;
  auto size = v6 ? 16u : 4u;
  for (unsigned i = 0; i < size; ++i) {
    auto kept = prefix_bits > 8 * i ? std::min(prefix_bits - 8 * i, 8u) : 0u;
    result.bytes[i] &= static_cast<std::uint8_t>(0xff00u >> kept);
  }
  return result;
}

std::optional<ip_address> parse_ip(std::string_view text) {
  if (text.starts_with('[')) {
    auto end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    text = text.substr(1, end - 1);
  } else if (std::count(text.begin(), text.end(), ':') == 1) {
    text = text.substr(0, text.find(':'));
  }
  char buffer[INET6_ADDRSTRLEN + 1];
  if (text.empty() || text.size() >= sizeof buffer || text.find('\0') != text.npos)
    return std::nullopt;
  std::memcpy(buffer, text.data(), text.size());
  buffer[text.size()] = '\0';
  std::uint8_t bytes[16];
  if (inet_pton(AF_INET, buffer, bytes) == 1) {
    ip_address result;
    std::memcpy(result.bytes.data(), bytes, 4);
    return result;
  }
  if (inet_pton(AF_INET6, buffer, bytes) == 1) return ip_address::from_v6(bytes);
  return std::nullopt;
}

std::string to_text(const ip_address& address) {
  char buffer[INET6_ADDRSTRLEN];
  inet_ntop(address.v6 ? AF_INET6 : AF_INET, address.bytes.data(), buffer, sizeof buffer);
  return buffer;
}

bool ip_network::contains(const ip_address& address) const {
  return address.v6 == base.v6 && address.masked(prefix_bits) == base;
}

std::optional<ip_network> parse_network(std::string_view text) {
  auto slash = text.find('/');
  auto address = parse_ip(text.substr(0, slash));
  if (!address) return std::nullopt;
  unsigned widest = address->v6 ? 128 : 32;
  unsigned bits = widest;
  if (slash != std::string_view::npos) {
    auto digits = text.substr(slash + 1);
    auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
    if (ec != std::errc{} || end != digits.data() + digits.size() || bits > widest)
      return std::nullopt;
  }
  return ip_network{address->masked(bits), bits};
}

bool any_contains(const std::vector<ip_network>& networks, const ip_address& address) {
  return std::any_of(networks.begin(), networks.end(),
                     [&](const ip_network& n) { return n.contains(address); });
}

} // namespace penstock
