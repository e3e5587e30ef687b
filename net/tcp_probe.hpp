// Whether something accepts TCP connections at an address, found out within a time limit.
#pragma once

#include "storage/result.hpp"

#include <chrono>
#include <cstdint>
#include <string>

namespace penstock {

/// Connects to the host (a name or an IP address) and closes at once. Blocks for `timeout` at most,
/// and for as long as a name takes to resolve. Errors: unavailable. Any thread.
result<void> probe_tcp(const std::string& host, std::uint16_t port,
                       std::chrono::milliseconds timeout);

} // namespace penstock
