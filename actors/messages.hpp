// Every message that actors exchange, in one place: one comment a message, one id block.
#pragma once

#include "actors/compat.hpp"
#include "actors/plan.hpp"
#include "storage/event_block.hpp"
#include "storage/result.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace penstock {

// -- between nodes: these are serialised; tests/actors round-trips each ---------------------------

/// The version of the messages below that this build speaks.
inline constexpr std::uint32_t wire_version = 2;

/// One client's wish to send `cost` events.
struct admit_item {
  std::uint64_t client = 0;
  std::uint32_t cost = 1;
};

/// A loop turn's wishes for one limiter. The reply carries the same token.
struct admit_request {
  std::uint64_t token = 0;
  std::vector<admit_item> items;
};

/// The verdicts, in the order of the items.
struct admit_reply {
  std::uint64_t token = 0;
  std::vector<verdict> verdicts;
};

/// A node introduces itself to a peer's gate.
struct hello {
  std::uint32_t version = wire_version;
  std::string cluster;
  std::string address;  ///< the cluster address the sender is known by
};

/// The gate's answer: this node's limiter actors; shard s belongs to limiters[s % size]. And its
/// front ends, which take events whose keys belong to this node.
struct welcome {
  std::uint32_t version = wire_version;
  std::vector<caf::actor> limiters;
  std::vector<caf::actor> front_ends{};
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, admit_item& x) {
  return f(x.client, x.cost);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, admit_request& x) {
  return f(x.token, x.items);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, admit_reply& x) {
  return f(x.token, x.verdicts);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, hello& x) {
  return f(x.version, x.cluster, x.address);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, welcome& x) {
  return f(x.version, x.limiters, x.front_ends);
}

// -- within a node: never serialised ---------------------------------------------------------------

using block_ptr = std::shared_ptr<event_block>;
using const_block_ptr = std::shared_ptr<const event_block>;

/// A front end's blocks of one loop turn, for the journal. Their sequence numbers were drawn from
/// the ticket counter, [first_ticket, first_ticket + events); the journal commits in ticket order.
/// Answered to `front_end` with append_done when durable.
struct append_batch {
  std::uint64_t first_ticket = 0;
  std::uint64_t events = 0;
  std::uint64_t token = 0;
  bool urgent = true;  ///< a client waits for it (ack = "journaled"); else the group may grow
  caf::actor front_end;
  std::vector<block_ptr> blocks;
};
using append_batch_ptr = std::shared_ptr<append_batch>;

/// These batches of the front end are durable, or why they are not (then nothing of them is kept).
/// One message a commit and front end.
struct append_done {
  std::vector<std::uint64_t> tokens;
  bool ok = true;
  error why;
};

/// The journal's own reminder to commit what it has staged: it is queued behind every append that
/// was there before it, which is what makes a group.
struct commit_due {};

/// The journal's timer while it can take no more: look whether there is room again.
struct full_check {};

/// A publisher wants what is durable in `stream` after a sequence number. Answered with
/// fetch_reply at once when the events are in memory, or at once with read_segments when memory
/// does not reach back to after_seq; otherwise when the next event of the stream is durable. One
/// outstanding fetch a sender and stream. A publisher that finds nothing newer in the segments
/// asks again with the catalog's durable_seq() as it was before that read.
struct fetch_request {
  std::string stream;
  std::uint64_t after_seq = 0;
};

/// Blocks from memory; or, when the reader has fallen behind what memory holds, `read_segments`.
struct fetch_reply {
  std::string stream;
  bool read_segments = false;
  std::vector<const_block_ptr> blocks;
};

/// A sink has confirmed everything up to this sequence number. Told to the keeper, which retires
/// segments that every sink is past.
struct confirmed_up_to {
  std::uint64_t seq = 0;
  std::string sink;
};

/// Finish what is under way, then quit; told to every actor by a drain.
struct drain {};
/// The answer, when nothing is under way any more.
struct drained {};

/// A peer's limiters came (again) within reach, or went out of it. Told to front ends.
struct peer_up {
  std::uint16_t member = 0;  ///< index into the sorted member list
  std::vector<caf::actor> limiters;
  std::vector<caf::actor> front_ends{};
};
struct peer_down {
  std::uint16_t member = 0;
};

/// A reload changed the plan.
struct plan_changed {
  std::shared_ptr<const plan> rules;
};

/// A limiter's timer: forget idle clients.
struct sweep_tick {};

} // namespace penstock

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::append_batch_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::append_done)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::commit_due)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::full_check)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::fetch_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::fetch_reply)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::confirmed_up_to)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::drain)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::drained)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::peer_up)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::peer_down)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::plan_changed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::sweep_tick)

CAF_BEGIN_TYPE_ID_BLOCK(penstock, caf::first_custom_type_id)
  CAF_ADD_TYPE_ID(penstock, (penstock::verdict))
  CAF_ADD_TYPE_ID(penstock, (penstock::admit_item))
  CAF_ADD_TYPE_ID(penstock, (std::vector<penstock::verdict>))
  CAF_ADD_TYPE_ID(penstock, (std::vector<penstock::admit_item>))
  CAF_ADD_TYPE_ID(penstock, (penstock::admit_request))
  CAF_ADD_TYPE_ID(penstock, (penstock::admit_reply))
  CAF_ADD_TYPE_ID(penstock, (penstock::hello))
  CAF_ADD_TYPE_ID(penstock, (penstock::welcome))
  CAF_ADD_TYPE_ID(penstock, (penstock::append_batch_ptr))
  CAF_ADD_TYPE_ID(penstock, (penstock::append_done))
  CAF_ADD_TYPE_ID(penstock, (penstock::commit_due))
  CAF_ADD_TYPE_ID(penstock, (penstock::full_check))
  CAF_ADD_TYPE_ID(penstock, (penstock::fetch_request))
  CAF_ADD_TYPE_ID(penstock, (penstock::fetch_reply))
  CAF_ADD_TYPE_ID(penstock, (penstock::confirmed_up_to))
  CAF_ADD_TYPE_ID(penstock, (penstock::drain))
  CAF_ADD_TYPE_ID(penstock, (penstock::drained))
  CAF_ADD_TYPE_ID(penstock, (penstock::peer_up))
  CAF_ADD_TYPE_ID(penstock, (penstock::peer_down))
  CAF_ADD_TYPE_ID(penstock, (penstock::plan_changed))
  CAF_ADD_TYPE_ID(penstock, (penstock::sweep_tick))
CAF_END_TYPE_ID_BLOCK(penstock)
