#include "net/base/authority.hpp"

#include "net/base/ascii.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace penstock {

namespace {

bool is_host_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

/// Of a host without brackets: four decimal parts.
std::optional<ip_address> v4_of(const std::string& host) {
  in_addr raw{};
  if (::inet_pton(AF_INET, host.c_str(), &raw) != 1) return std::nullopt;
  ip_address out;
  std::memcpy(out.bytes.data(), &raw, 4);
  return out;
}

std::optional<ip_address> v6_of(const std::string& host) {
  in6_addr raw{};
  if (::inet_pton(AF_INET6, host.c_str(), &raw) != 1) return std::nullopt;
  return ip_address::from_v6(raw.s6_addr);
}

/// "" (no port), ":" (likewise) or ":8081".
bool read_port(std::string_view text, std::optional<std::uint16_t>& port) {
  if (text.empty() || text == ":") return true;
  if (text.front() != ':' || text.size() > 6) return false;
  text.remove_prefix(1);
  std::uint16_t number = 0;
  const auto* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, number);
  if (read.ec != std::errc{} || read.ptr != end) return false;
  port = number;
  return true;
}

} // namespace

bool authority::is_loopback() const {
  if (!address) return host == "localhost";
  if (!address->v6) return address->bytes[0] == 127;
  auto one = ip_address{.bytes = {}, .v6 = true};
  one.bytes[15] = 1;
  return *address == one;
}

bool authority::same_host(const authority& other) const {
  if (address || other.address) return address == other.address;
  return host == other.host;
}

std::optional<authority> parse_authority(std::string_view text) {
  authority out;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == text.npos || !read_port(text.substr(close + 1), out.port)) return std::nullopt;
    out.host = text.substr(1, close - 1);
    out.address = v6_of(out.host);
    if (!out.address) return std::nullopt;
    return out;
  }
  const auto colon = std::min(text.find(':'), text.size());
  if (!read_port(text.substr(colon), out.port)) return std::nullopt;
  out.host = text.substr(0, colon);
  std::transform(out.host.begin(), out.host.end(), out.host.begin(), lower_ascii);
  if (out.host.ends_with('.')) out.host.pop_back();
  if (out.host.empty() || out.host.size() > max_host_chars ||
      !std::all_of(out.host.begin(), out.host.end(), is_host_char))
    return std::nullopt;
  out.address = v4_of(out.host);
  return out;
}

} // namespace penstock
