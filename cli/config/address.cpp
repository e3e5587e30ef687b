#include "cli/config/address.hpp"

#include "actors/base/ip_network.hpp"

#include <algorithm>
#include <charconv>

namespace penstock {
namespace {

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t number = 0;
  const auto* end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data(), end, number);
  if (failure != std::errc{} || stop != end) return std::nullopt;
  return number;
}

} // namespace

std::optional<host_port> parse_host_port(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  auto host = text.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto port = parse_port(text.substr(colon + 1));
  const bool is_v6 = host.find(':') != host.npos;
  if (!parse_plain_ip(host) || !port || is_v6 != bracketed) return std::nullopt;
  return host_port{std::string{host}, *port};
}

bool is_loopback(const host_port& address) {
  const auto ip = parse_plain_ip(address.host);
  return ip && (ip->v6 ? *ip == *parse_plain_ip("::1") : ip->bytes[0] == 127);
}

bool is_wildcard(const host_port& address) {
  const auto ip = parse_plain_ip(address.host);
  return ip && std::all_of(ip->bytes.begin(), ip->bytes.end(), [](auto b) { return b == 0; });
}

} // namespace penstock
