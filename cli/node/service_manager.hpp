// Telling systemd (Type=notify) how the node is.
#pragma once

#include <string_view>

namespace penstock {

/// Sends e.g. "READY=1" to the service manager that started us; does nothing without one. The
/// protocol is a datagram to $NOTIFY_SOCKET, see sd_notify(3).
void tell_service_manager(std::string_view state);

} // namespace penstock
