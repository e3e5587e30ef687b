#include "net/base/network.hpp"

#include <netinet/in.h>

#include <cstring>

namespace penstock {

ip_address ip_from(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET6)
    return ip_address::from_v6(reinterpret_cast<const sockaddr_in6&>(address).sin6_addr.s6_addr);
  ip_address result;
  std::memcpy(result.bytes.data(), &reinterpret_cast<const sockaddr_in&>(address).sin_addr, 4);
  return result;
}

} // namespace penstock
