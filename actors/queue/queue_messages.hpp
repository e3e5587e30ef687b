// Messages of the embedded queue and the keeper: all within a node, never serialised.
#pragma once

#include "actors/queue/queue_metrics.hpp"
#include "actors/queue/queue_state.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace penstock {

/// The most messages, and about the most bytes of bodies, that one receive or replay gives.
inline constexpr std::uint32_t max_receive_messages = 10'000;
inline constexpr std::size_t max_receive_bytes = 8u << 20;
/// The longest that a receive is held open, and the longest lease.
inline constexpr std::int64_t max_receive_wait_ms = 20'000;
inline constexpr std::int64_t max_lease_ms = 12 * 3'600'000;

/// A consumer wants up to `max` messages; answered with queue_delivery at once or when there are
/// some, after `wait_ms` at the latest (then empty).
struct queue_receive {
  std::string stream;
  std::uint32_t max = 1;
  std::int64_t wait_ms = 0;
  std::int64_t lease_ms = 0;                 ///< 0: the configured default
  std::size_t max_bytes = max_receive_bytes; ///< of bodies; the first message is given anyway
  std::uint64_t wait_id = 0;                 ///< names the wait for queue_stop_waiting; 0: nobody
};

/// Whoever asked went away: the wait of this name is answered at once, with nothing.
struct queue_stop_waiting {
  std::string stream;
  std::uint64_t wait_id = 0;
};

/// Messages for a consumer, or why there are none.
struct queue_delivery {
  bool ok = true;
  error why;
  std::vector<queued_message> messages;
  std::uint64_t next_seq = 0; ///< replay: where to go on
};
using queue_delivery_ptr = std::shared_ptr<const queue_delivery>;

/// A consumer acknowledges messages, or gives them back (`accept` false). Answered with
/// queue_receipts_done; for an acknowledgement after the cursor is durable.
struct queue_receipts {
  std::string stream;
  bool accept = true;
  std::vector<receipt> receipts;
};

/// What became of queue_receipts. When not `ok` (a full disk, say), nothing is durable yet: the
/// queue goes on trying, and to acknowledge again is right.
struct queue_receipts_done {
  bool ok = true;
  error why;
  std::uint64_t done = 0;
  std::uint64_t stale = 0;
};

/// Reads again from a place, without a lease and without moving the cursor: the events at or after
/// `from_seq` (or, if set, accepted at or after `from_time_ms`). Answered with queue_delivery.
struct queue_replay {
  std::string stream;
  std::uint64_t from_seq = 0;
  std::optional<std::int64_t> from_time_ms;
  std::uint32_t max = 1;
  std::size_t max_bytes = max_receive_bytes; ///< of bodies; the first event is given anyway
};

/// How one stream of the queue stands; answered with queue_stats_reply.
struct queue_stats_request {
  std::string stream;
};
struct queue_stats_reply {
  bool ok = true;
  error why;
  queue_stats stats;
};

} // namespace penstock

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::queue_receive)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::queue_delivery_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::queue_receipts)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::queue_receipts_done)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::queue_replay)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::queue_stats_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::queue_stats_reply)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::queue_stop_waiting)

CAF_BEGIN_TYPE_ID_BLOCK(penstock_queue, caf::first_custom_type_id + 50)
CAF_ADD_TYPE_ID(penstock_queue, (penstock::queue_receive))
CAF_ADD_TYPE_ID(penstock_queue, (penstock::queue_delivery_ptr))
CAF_ADD_TYPE_ID(penstock_queue, (penstock::queue_receipts))
CAF_ADD_TYPE_ID(penstock_queue, (penstock::queue_receipts_done))
CAF_ADD_TYPE_ID(penstock_queue, (penstock::queue_replay))
CAF_ADD_TYPE_ID(penstock_queue, (penstock::queue_stats_request))
CAF_ADD_TYPE_ID(penstock_queue, (penstock::queue_stats_reply))
CAF_ADD_TYPE_ID(penstock_queue, (penstock::queue_stop_waiting))
CAF_END_TYPE_ID_BLOCK(penstock_queue)
