// TCP connections made within a time limit.
#pragma once

#include "storage/base/result.hpp"

#include <chrono>
#include <cstdint>
#include <string>

namespace penstock {

/// A second attempt begins this much later beside the first, and whichever succeeds counts: the
/// kernel says hello again only after a second, by when a lost packet would have used up the time.
inline constexpr std::chrono::milliseconds second_attempt_after{300};

/// Connects to the host (a name or an IP address) and gives the socket, which does not block and
/// is the caller's to close. Blocks for `timeout` at most, and for as long as a name takes to
/// resolve. Errors: unavailable. Any thread.
result<int> connect_tcp(const std::string& host, std::uint16_t port,
                        std::chrono::milliseconds timeout);

/// Whether something accepts connections there: connects and closes at once. As connect_tcp.
result<void> probe_tcp(const std::string& host, std::uint16_t port,
                       std::chrono::milliseconds timeout);

} // namespace penstock
