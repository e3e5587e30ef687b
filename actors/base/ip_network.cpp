#include "actors/base/ip_network.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

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

std::optional<ip_address> parse_plain_ip(std::string_view text) {
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

std::optional<ip_address> parse_ip(std::string_view text) {
  std::string_view behind; // the address: nothing, or a port
  if (text.starts_with('[')) {
    auto end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    behind = text.substr(end + 1);
    text = text.substr(1, end - 1);
  } else if (std::count(text.begin(), text.end(), ':') == 1) {
    behind = text.substr(text.find(':'));
    text = text.substr(0, text.find(':'));
  }
  if (!behind.empty()) {
    constexpr std::size_t max_digits = 5;
    const auto port = behind.substr(1);
    if (behind[0] != ':' || port.empty() || port.size() > max_digits ||
        port.find_first_not_of("0123456789") != port.npos)
      return std::nullopt;
  }
  return parse_plain_ip(text);
}

std::string to_text(const ip_address& address) {
  char buffer[INET6_ADDRSTRLEN];
  inet_ntop(address.v6 ? AF_INET6 : AF_INET, address.bytes.data(), buffer, sizeof buffer);
  return buffer;
}

bool ip_network::contains(const ip_address& address) const {
  return address.v6 == base.v6 && address.masked(prefix_bits) == base;
}

namespace {

constexpr unsigned mapped_bits = 96; // of an IPv6 address that come before an IPv4 one in it

error no_network(std::string why) {
  return {errc::invalid, std::move(why)};
}

// Networks that no connection comes from.
bool is_unused(const ip_network& network) {
  const auto& bytes = network.base.bytes;
  if (!network.base.v6)
    return (bytes[0] == 0 && network.prefix_bits >= 8) ||
           (bytes[0] >> 4 == 0xe && network.prefix_bits >= 4);
  if (bytes[0] == 0xff && network.prefix_bits >= 8) return true;
  static const auto loopback = *parse_plain_ip("::1");
  const bool begins_with_zeros =
      std::all_of(bytes.begin(), bytes.begin() + mapped_bits / 8, [](auto b) { return b == 0; });
  return begins_with_zeros && network.prefix_bits >= mapped_bits && !network.contains(loopback);
}

std::optional<unsigned> parse_prefix(std::string_view digits) {
  unsigned bits = 0;
  const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
  if (ec != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return bits;
}

} // namespace

result<ip_network> parse_network(std::string_view text, host_bits extra) {
  const auto slash = text.find('/');
  const auto base = text.substr(0, slash);
  if (text.find('%') != text.npos)
    return no_network("an address with a zone can't be matched; leave the zone out");
  if (base.find('[') != base.npos || std::count(base.begin(), base.end(), ':') == 1)
    return no_network("leave out brackets and port");
  const auto address = parse_plain_ip(base);
  if (!address) return no_network("it begins with no IP address");
  const bool mapped = !address->v6 && base.find(':') != base.npos;
  const unsigned widest = address->v6 || mapped ? 128 : 32;
  unsigned bits = widest;
  if (slash != text.npos) {
    const auto given = parse_prefix(text.substr(slash + 1));
    if (!given || *given > widest)
      return no_network("its prefix is not a number from 0 to " + std::to_string(widest));
    bits = *given;
  }
  if (mapped && bits < mapped_bits)
    return no_network("the prefix of an IPv4-mapped network is 96 or more; a shorter one matches "
                      "nothing");
  if (mapped) bits -= mapped_bits;
  const ip_network network{address->masked(bits), bits};
  if (network.base != *address && extra == host_bits::refused)
    return no_network("no bits may be set past its prefix; write " + to_text(network.base) + "/" +
                      std::to_string(bits));
  if (is_unused(network)) return no_network("no client can have an address in it");
  return network;
}

bool any_contains(const std::vector<ip_network>& networks, const ip_address& address) {
  return std::any_of(networks.begin(), networks.end(),
                     [&](const ip_network& n) { return n.contains(address); });
}

} // namespace penstock
