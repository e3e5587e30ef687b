// Messages of the journal: all within a node, never serialised.
#pragma once

#include "actors/base/compat.hpp"
#include "actors/interfaces/interfaces.hpp"
#include "actors/journal/space_book.hpp"
#include "storage/base/result.hpp"
#include "storage/events/event_block.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace penstock {

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
  front_end_handle front_end;
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
  front_end_handle front_end;
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

/// Which streams' events go to a holder, and which sinks they are for. Told to the journal, which
/// passes it on to the replicator between the rows that it applies to.
struct replicated_streams {
  std::function<bool(const std::string& stream)> wanted;
  std::vector<std::string> sinks;
  std::uint64_t since_seq = 0; ///< set by the journal: it applies to rows after this one
};

/// From the journal to the replicator: rows of such streams that are durable now, in order.
struct journal_rows {
  std::vector<const_block_ptr> rows;
};

} // namespace penstock

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::append_batch_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::append_done)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::commit_due)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::full_check)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::fetch_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::fetch_reply)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::confirmed_up_to)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::watch_streams)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::stream_seen)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::forget_stream)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::place_check)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::watch_space)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::space_rules_changed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::refused_streams_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::sink_backlog_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::replicated_streams)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::journal_rows)

CAF_BEGIN_TYPE_ID_BLOCK(penstock_journal, caf::first_custom_type_id + 26)
CAF_ADD_TYPE_ID(penstock_journal, (penstock::append_batch_ptr))
CAF_ADD_TYPE_ID(penstock_journal, (penstock::append_done))
CAF_ADD_TYPE_ID(penstock_journal, (penstock::commit_due))
CAF_ADD_TYPE_ID(penstock_journal, (penstock::full_check))
CAF_ADD_TYPE_ID(penstock_journal, (penstock::fetch_request))
CAF_ADD_TYPE_ID(penstock_journal, (penstock::fetch_reply))
CAF_ADD_TYPE_ID(penstock_journal, (penstock::confirmed_up_to))
CAF_ADD_TYPE_ID(penstock_journal, (penstock::watch_streams))
CAF_ADD_TYPE_ID(penstock_journal, (penstock::stream_seen))
CAF_ADD_TYPE_ID(penstock_journal, (penstock::forget_stream))
CAF_ADD_TYPE_ID(penstock_journal, (penstock::place_check))
CAF_ADD_TYPE_ID(penstock_journal, (penstock::watch_space))
CAF_ADD_TYPE_ID(penstock_journal, (penstock::space_rules_changed))
CAF_ADD_TYPE_ID(penstock_journal, (penstock::refused_streams_ptr))
CAF_ADD_TYPE_ID(penstock_journal, (penstock::sink_backlog_ptr))
CAF_ADD_TYPE_ID(penstock_journal, (penstock::replicated_streams))
CAF_ADD_TYPE_ID(penstock_journal, (penstock::journal_rows))
CAF_END_TYPE_ID_BLOCK(penstock_journal)
