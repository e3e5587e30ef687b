// The admin plane's side of the embedded queue.
#pragma once

#include "net/admin/admin_routes.hpp"

namespace penstock {

/// A receive that names no `max` gets up to this many messages; a replay too.
inline constexpr std::uint32_t default_receive_messages = 10;
/// How long the queue may take to answer beyond what a receive waits; an acknowledgement waits for
/// the disk.
inline constexpr std::chrono::milliseconds queue_answer_timeout{10'000};

/// GET: {"stream":…,"depth":…,"oldest_age_s":…,"in_flight":…}; with ?from= (an event's id or an
/// RFC 3339 time) and ?max= reads again: messages without receipts, and "next" for the next from.
boost::asio::awaitable<admin_answer> get_queue(admin_context& context, admin_request& request);

/// POST {"max":n,"wait_s":s,"lease_s":l}, all optional. `max` and `wait_s` are cut to what one
/// answer and one wait may be; ?from= reads again instead. When the answer can't be written its
/// messages go back to the queue at once.
boost::asio::awaitable<admin_answer> receive_from_queue(admin_context& context,
                                                        admin_request& request);

/// POST {"receipts":[…]} → {"acked":n,"stale":m} once it is durable. A stale receipt is one whose
/// message went to another consumer since; its acknowledgement does not count.
boost::asio::awaitable<admin_answer> ack_to_queue(admin_context& context, admin_request& request);
/// The same with {"nacked":n,"stale":m}: the messages are handed out again at once.
boost::asio::awaitable<admin_answer> nack_to_queue(admin_context& context, admin_request& request);

} // namespace penstock
