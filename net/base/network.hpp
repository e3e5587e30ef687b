// Addresses as sockets have them.
#pragma once

#include "actors/base/ip_network.hpp"

#include <sys/socket.h>

namespace penstock {

ip_address ip_from(const sockaddr_storage& address);

} // namespace penstock
