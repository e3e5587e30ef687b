// What a node and the one that holds its events say to each other, and who tells them what.
#pragma once

#include "actors/base/wire_version.hpp"
#include "actors/interfaces/interfaces.hpp"
#include "actors/journal/journal_messages.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace penstock {

// -- between nodes, from wire version 5 on --------------------------------------------------------

/// A row of a journal as it travels: without its idempotency keys, which the batch has. Whoever
/// reads one asks is_consistent().
struct wire_block {
  const_block_ptr block;
};

/// Bodies in one replica_batch, unless a single row is larger; and so many batches' bodies are
/// under way to a holder.
inline constexpr std::size_t max_replica_batch_bytes = 1u << 20;
inline constexpr std::size_t max_replica_in_flight_bytes = 4u << 20;
/// Rows in one, and what a holder reads of one.
inline constexpr std::size_t max_replica_batch_rows = 1024;

/// An idempotency key of a batch, and which of its events were accepted under it.
struct row_key {
  std::uint32_t row = 0; ///< index into replica_batch::rows
  block_key key{};
};

/// From a node to its holder: keep these. The first of a session has no rows and asks what is held.
/// Answered with replica_held, once for several batches. A holder sends what it holds of a node
/// that is away in the same way, in its name.
struct replica_batch {
  std::uint8_t version = replicas_wire_version;
  std::uint64_t session = 0; ///< comes back: the origin's number for its choice of this holder
  std::string tag;           ///< of the origin's ids
  std::string node;          ///< its name
  std::uint64_t confirmed_seq = 0; ///< its sinks have all up to here
  std::uint64_t after_seq = 0;     ///< only for a holder that has all up to here
  std::vector<wire_block> rows;
  /// From here on of passing_wire_version. In the order of their events.
  std::vector<row_key> keys{};
  bool is_passed_on = false; ///< by a holder, not by the origin itself
  /// Events that whoever sends could not read may be missing among these, or before them.
  bool is_partial = false;
};

/// Up to `settled_seq` the origin's events are durable here, or nobody needs them. Not `ok`: what
/// was sent after them was not kept, and the session is over.
struct replica_held {
  std::uint8_t version = replicas_wire_version;
  std::uint64_t session = 0;
  std::uint64_t settled_seq = 0;
  bool ok = true;
  std::string why{}; ///< if not ok: a sentence
};

/// What all sinks of one stream have: all up to `floor`, and closed ranges past it, in order.
struct delivered_stream {
  std::string stream{};
  std::uint64_t floor = 0;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> beyond{};
};

/// From each node to all that it has a link to, every replica_interval: it lives, and this is what
/// need not be held any more. No answer.
struct replica_news {
  std::uint8_t version = replicas_wire_version;
  std::string tag{};
  std::uint64_t confirmed_seq = 0;
  /// From here on of delivered_wire_version. `delivered` has the streams of which something is owed
  /// up to `as_of_seq`, by their names in order: of all others nothing up to there is. See
  /// told_backlog.
  std::uint64_t as_of_seq = 0;
  std::vector<delivered_stream> delivered{};
  /// From here on of passing_wire_version. Not empty: a holder says it of an origin that is away,
  /// and this is the tag of its own journal.
  std::string by{};
  std::uint64_t held_seq = 0; ///< it holds all up to here
  bool is_published = false;  ///< it has published all of that: nobody need hold it any more
  bool is_partial = false;    ///< but for events that can't be read, or never reached it
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, event_meta& x) {
  return f(x.end, x.type, x.attributes, x.client);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, event_block& x) {
  return f(x.first_seq, x.time_ms, x.stream, x.events, x.content_types, x.attributes, x.bodies);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, wire_block& x) {
  if constexpr (Inspector::reads_state) {
    static event_block none;
    return f(x.block ? const_cast<event_block&>(*x.block) : none); // an inspector takes no const
  } else {
    const auto read = std::make_shared<event_block>();
    x.block = read;
    return f(*read);
  }
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, row_key& x) {
  return f(x.row, x.key.key.high, x.key.key.low, x.key.content, x.key.first, x.key.count);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, replica_batch& x) {
  auto keys = since<passing_wire_version>(x.version, x.keys);
  auto is_passed_on = since<passing_wire_version>(x.version, x.is_passed_on);
  auto is_partial = since<passing_wire_version>(x.version, x.is_partial);
  return f(x.version, x.session, x.tag, x.node, x.confirmed_seq, x.after_seq, x.rows, keys,
           is_passed_on, is_partial);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, replica_held& x) {
  return f(x.version, x.session, x.settled_seq, x.ok, x.why);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, delivered_stream& x) {
  return f(x.stream, x.floor, x.beyond);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, replica_news& x) {
  auto as_of_seq = since<delivered_wire_version>(x.version, x.as_of_seq);
  auto delivered = since<delivered_wire_version>(x.version, x.delivered);
  auto by = since<passing_wire_version>(x.version, x.by);
  auto held_seq = since<passing_wire_version>(x.version, x.held_seq);
  auto is_published = since<passing_wire_version>(x.version, x.is_published);
  auto is_partial = since<passing_wire_version>(x.version, x.is_partial);
  return f(x.version, x.tag, x.confirmed_seq, as_of_seq, delivered, by, held_seq, is_published,
           is_partial);
}

// -- within a node --------------------------------------------------------------------------------

class told_backlog;

/// To the adopter: publish what the origin of that tag owed; its directory is yours until the
/// answer, replica_adopted.
struct adopt_replica {
  std::string tag;
  std::string node;
  std::shared_ptr<const told_backlog> told{}; ///< the last that it said; null: nothing
};
struct replica_adopted {
  std::string tag{};
  std::string node{};
  bool is_done = false;    ///< its sinks have all of it, but for the embedded queue
  bool is_empty = false;   ///< which got all, too, and there are no dead letters
  bool is_partial = false; ///< not all of it could be read
  std::string why{};       ///< if it is not done
};

/// From a node that ends to its replica actor: hold nothing new, and have other nodes hold what is
/// held here. Answered with held_passed_on when they do, or nobody is left who could.
struct pass_on_held {};
struct held_passed_on {
  std::uint64_t left_events = 0; ///< at most so many are on no other node that holds them
  std::string why{};             ///< if there are any
};

/// This node's indexes of keys: key shard s is with indexes[s % size]. They are told the keys of
/// what is held here, so that the owner of a key hears of it if the node that has it is away.
struct key_indexes {
  std::vector<idempotency_handle> indexes;
};

/// The timer of either side.
struct replica_tick {};

} // namespace penstock

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::adopt_replica)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::replica_adopted)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::replica_tick)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::key_indexes)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::pass_on_held)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::held_passed_on)

CAF_BEGIN_TYPE_ID_BLOCK(penstock_replicas, caf::first_custom_type_id + 270)
CAF_ADD_TYPE_ID(penstock_replicas, (penstock::event_meta))
CAF_ADD_TYPE_ID(penstock_replicas, (std::vector<penstock::event_meta>))
CAF_ADD_TYPE_ID(penstock_replicas, (penstock::event_block))
CAF_ADD_TYPE_ID(penstock_replicas, (penstock::wire_block))
CAF_ADD_TYPE_ID(penstock_replicas, (std::vector<penstock::wire_block>))
CAF_ADD_TYPE_ID(penstock_replicas, (penstock::replica_batch))
CAF_ADD_TYPE_ID(penstock_replicas, (penstock::replica_held))
CAF_ADD_TYPE_ID(penstock_replicas, (penstock::delivered_stream))
CAF_ADD_TYPE_ID(penstock_replicas, (std::vector<penstock::delivered_stream>))
CAF_ADD_TYPE_ID(penstock_replicas, (penstock::replica_news))
CAF_ADD_TYPE_ID(penstock_replicas, (penstock::adopt_replica))
CAF_ADD_TYPE_ID(penstock_replicas, (penstock::replica_adopted))
CAF_ADD_TYPE_ID(penstock_replicas, (penstock::replica_tick))
CAF_ADD_TYPE_ID(penstock_replicas, (penstock::row_key))
CAF_ADD_TYPE_ID(penstock_replicas, (std::vector<penstock::row_key>))
CAF_ADD_TYPE_ID(penstock_replicas, (penstock::pass_on_held))
CAF_ADD_TYPE_ID(penstock_replicas, (penstock::held_passed_on))
CAF_ADD_TYPE_ID(penstock_replicas, (penstock::key_indexes))
CAF_END_TYPE_ID_BLOCK(penstock_replicas)
