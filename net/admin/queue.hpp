// The admin plane's side of the embedded queue.
#pragma once

#include "net/admin/admin_route.hpp"

#include <chrono>
#include <cstdint>

namespace penstock {

/// A receive that names no `max` gets up to this many messages; a replay too.
inline constexpr std::uint32_t default_receive_messages = 10;
/// How long the queue may take to answer beyond what a receive waits; an acknowledgement waits for
/// the disk.
inline constexpr std::chrono::milliseconds queue_answer_timeout{10'000};

} // namespace penstock
