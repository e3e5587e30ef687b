#include "cli/address.hpp"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>

#include <charconv>

namespace penstock {
namespace {

namespace ip = boost::asio::ip;

std::optional<ip::address> parse_ip(std::string_view text) {
  boost::system::error_code failure;
  const auto address = ip::make_address(std::string{text}, failure);
  if (failure) return std::nullopt;
  return address;
}

template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number = 0;
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
  const auto address = parse_ip(host);
  const auto port = parse_number<std::uint16_t>(text.substr(colon + 1));
  if (!address || !port || address->is_v6() != bracketed) return std::nullopt;
  return host_port{std::string{host}, *port};
}

bool is_loopback(const host_port& address) {
  const auto ip = parse_ip(address.host);
  return ip && ip->is_loopback();
}

bool is_wildcard(const host_port& address) {
  const auto ip = parse_ip(address.host);
  return ip && ip->is_unspecified();
}

bool is_network(std::string_view text) {
  const auto slash = text.find('/');
  const auto address = parse_ip(text.substr(0, slash));
  if (!address) return false;
  if (slash == std::string_view::npos) return true;
  const auto prefix = parse_number<unsigned short>(text.substr(slash + 1));
  if (!prefix || *prefix > (address->is_v6() ? 128 : 32)) return false;
  if (address->is_v6()) {
    const ip::network_v6 network{address->to_v6(), *prefix};
    return network.canonical() == network;
  }
  const ip::network_v4 network{address->to_v4(), *prefix};
  return network.canonical() == network;
}

} // namespace penstock
