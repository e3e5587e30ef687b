// Every message that actors exchange, in one place: one comment a message, one id block.
#pragma once

#include "actors/compat.hpp"
#include "actors/placement.hpp"
#include "actors/plan.hpp"
#include "actors/space_book.hpp"
#include "actors/wire_version.hpp"
#include "storage/counter_store.hpp"
#include "storage/event_block.hpp"
#include "storage/result.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace penstock {

// -- between nodes: these are serialised; tests/actors round-trips each ---------------------------

/// One client's wish to send `events` events.
struct admit_item {
  std::uint64_t client = 0; ///< keyed hash of the account, or of who is calling without a key
  std::uint64_t key = 0;    ///< keyed hash of the key's id; 0: none, the client stands for it
  std::uint32_t plan = 0;   ///< plan_id()
  std::uint32_t stream = 0; ///< stream_id()
  std::uint32_t events = 1;
  std::uint32_t bytes = 0;        ///< of all events; 0 when no limit of the plan counts them
  limit_mask limits = all_limits; ///< those of the plan that apply; see limits_that_apply()
};

/// A loop turn's wishes for one limiter of the front end's own node, which asks the shard's owner
/// if it has to. The reply carries the same token. `sizes` has, one item after the other, the bytes
/// of each event of those items with several events and bytes > 0.
struct admit_request {
  std::uint64_t token = 0;
  std::vector<admit_item> items;
  std::vector<std::uint32_t> sizes;
};

/// The verdicts, in the order of the items; those that another node must give are verdict::pending
/// and follow in further replies, which say by `positions` of which items they are.
struct admit_reply {
  std::uint64_t token = 0;
  std::vector<verdict> verdicts;
  std::vector<std::uint32_t> positions{}; ///< none: all items
};

/// How do the limits of a plan stand for a client? It costs nothing of them.
struct limits_query {
  std::uint64_t token = 0;
  std::uint64_t client = 0; ///< these four as in admit_item
  std::uint64_t key = 0;
  std::uint32_t plan = 0;
  std::uint32_t stream = 0; ///< the one whose limits of scope `stream` are told
  bool passed_on = false;   ///< by the limiter of another node: not to be passed on again
};

/// One limit as it stands, in its units (events or bytes).
struct limit_status {
  std::string name;
  std::uint32_t used = 0;
  std::uint32_t remaining = 0;   ///< would be admitted at once now
  std::int64_t resets_at_ms = 0; ///< wall clock, when the whole amount is back; now, if it is

  bool operator==(const limit_status&) const = default;
};

/// All limits of the plan, in its order.
struct limits_reply {
  std::uint64_t token = 0;
  bool plan_known = false; ///< false: this limiter has no such plan
  bool reached = true;     ///< false: the shard's owner can't be asked
  std::vector<limit_status> limits;
};

/// A node introduces itself to a peer's gate.
struct hello {
  std::uint32_t version = wire_version;       ///< the latest that it speaks…
  std::uint32_t oldest = oldest_wire_version; ///< …and the oldest
  std::string cluster;
  std::string address; ///< the cluster address the sender is known by
};

/// The gate's answer: this node's limiter actors; shard s belongs to limiters[s % size]. And its
/// front ends, which take events whose keys belong to this node, and its accounts actor.
struct welcome {
  std::uint32_t version = wire_version; ///< that both will speak
  std::vector<caf::actor> limiters;
  std::vector<caf::actor> front_ends{};
  caf::actor accounts{};
  caf::actor directory{}; ///< null: its members are a fixed list
  caf::actor replicas{};  ///< holds other nodes' events; from version 5 on
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, admit_item& x) {
  return f(x.client, x.key, x.plan, x.stream, x.events, x.bytes, x.limits);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, admit_request& x) {
  return f(x.token, x.items, x.sizes);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, limits_query& x) {
  return f(x.token, x.client, x.key, x.plan, x.stream, x.passed_on);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, limit_status& x) {
  return f(x.name, x.used, x.remaining, x.resets_at_ms);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, limits_reply& x) {
  return f(x.token, x.plan_known, x.reached, x.limits);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, admit_reply& x) {
  return f(x.token, x.verdicts, x.positions);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, hello& x) {
  return f(x.version, x.oldest, x.cluster, x.address);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, welcome& x) {
  auto replicas = since<replicas_wire_version>(x.version, x.replicas);
  return f(x.version, x.limiters, x.front_ends, x.accounts, x.directory, replicas);
}

// -- within a node: never serialised --------------------------------------------------------------

using block_ptr = std::shared_ptr<event_block>;
using const_block_ptr = std::shared_ptr<const event_block>;

/// A front end's blocks of one loop turn, for the journal. Their sequence numbers were drawn from
/// the ticket counter, [first_ticket, first_ticket + events); the journal commits in ticket order.
/// Answered to `front_end` with append_done when durable.
struct append_batch {
  std::uint64_t first_ticket = 0;
  std::uint64_t events = 0;
  std::uint64_t token = 0;
  bool urgent = true; ///< a client waits for it (ack = "journaled"); else the group may grow
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

/// The journal's timer while it can take no more, or not from all: look whether there is room
/// again.
struct full_check {};
/// The journal's other timer: look whether its files are where they were.
struct place_check {};

/// A front end wants to know of which streams nothing is taken: the journal sends it
/// refused_streams_ptr now and whenever that changes. Null: all are taken.
struct watch_space {
  caf::actor front_end;
};
/// A reload changed how much streams may hold. To the journal, the queue and publishers.
struct space_rules_changed {
  stream_rules rule_of;
};
/// What a sink has yet to take; sent to the journal about once a second.
using sink_backlog_ptr = std::shared_ptr<const sink_backlog>;

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

/// To the journal: the sender keeps this stream no more. Who waits for its events is answered with
/// none, and may ask again; who watches streams is told when it gets the next.
struct forget_stream {
  std::string stream;
};

/// A publisher wants to know which streams get events; answered with a stream_seen for each that
/// has got some since the node started, and for each further one when its first is durable.
struct watch_streams {};
struct stream_seen {
  std::string stream;
};

/// A sink has confirmed everything up to this sequence number. Told to the keeper, which retires
/// segments that every sink is past.
struct confirmed_up_to {
  std::uint64_t seq = 0;
  std::string sink;
};

/// Finish what is under way, then quit; told to every actor by a drain.
struct drain {
  /// How long it may take; 0: as the actor was set up. Front ends look at it.
  std::chrono::milliseconds time_ms{0};
};
/// The answer, when nothing is under way any more.
struct drained {};

/// A peer's actors came (again) within reach, or went out of it. Told to front ends, limiters and
/// the accounts actor.
struct peer_up {
  std::uint16_t member = 0; ///< this node's number for it, as in placement
  std::vector<caf::actor> limiters;
  std::vector<caf::actor> front_ends{};
  caf::actor accounts{};
  caf::actor directory{};
  caf::actor replicas{}; ///< null: it holds no events of others
  std::string address{};
  std::uint32_t version = wire_version; ///< that both speak
};
struct peer_down {
  std::uint16_t member = 0;
};

/// Shards have other places from now on. Told to front ends and limiters.
struct placement_changed {
  std::shared_ptr<const placement> to;
};

using plan_list = std::shared_ptr<const std::vector<plan>>;

/// The plans from now on, all of them.
struct plans_changed {
  plan_list plans;
};

/// What clients used since the limiter told last, of limits that survive a restart. Answered with
/// counters_saved when it is durable.
struct counters_changed {
  std::shared_ptr<const std::vector<counter_row>> rows;
};
struct counters_saved {};

/// A limiter's timer: have saved what changed.
struct save_tick {};

/// A limiter's timer: forget idle clients.
struct sweep_tick {};

} // namespace penstock

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::append_batch_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::append_done)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::commit_due)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::full_check)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::place_check)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::watch_space)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::space_rules_changed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::refused_streams_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::sink_backlog_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::fetch_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::fetch_reply)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::confirmed_up_to)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::watch_streams)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::stream_seen)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::forget_stream)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::drain)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::drained)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::peer_up)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::peer_down)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::placement_changed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::plans_changed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::counters_changed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::counters_saved)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::save_tick)
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
CAF_ADD_TYPE_ID(penstock, (penstock::plans_changed))
CAF_ADD_TYPE_ID(penstock, (penstock::sweep_tick))
CAF_ADD_TYPE_ID(penstock, (penstock::limits_query))
CAF_ADD_TYPE_ID(penstock, (penstock::limit_status))
CAF_ADD_TYPE_ID(penstock, (std::vector<penstock::limit_status>))
CAF_ADD_TYPE_ID(penstock, (penstock::limits_reply))
CAF_ADD_TYPE_ID(penstock, (penstock::counters_changed))
CAF_ADD_TYPE_ID(penstock, (penstock::counters_saved))
CAF_ADD_TYPE_ID(penstock, (penstock::save_tick))
CAF_ADD_TYPE_ID(penstock, (penstock::watch_streams))
CAF_ADD_TYPE_ID(penstock, (penstock::stream_seen))
CAF_ADD_TYPE_ID(penstock, (penstock::forget_stream))
CAF_ADD_TYPE_ID(penstock, (penstock::placement_changed))
CAF_ADD_TYPE_ID(penstock, (penstock::place_check))
CAF_ADD_TYPE_ID(penstock, (penstock::watch_space))
CAF_ADD_TYPE_ID(penstock, (penstock::space_rules_changed))
CAF_ADD_TYPE_ID(penstock, (penstock::refused_streams_ptr))
CAF_ADD_TYPE_ID(penstock, (penstock::sink_backlog_ptr))
CAF_END_TYPE_ID_BLOCK(penstock)
