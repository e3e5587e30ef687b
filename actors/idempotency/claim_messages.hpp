// What front ends ask about keys before they store an event, of their own node and of others.
#pragma once

#include "actors/base/compat.hpp"
#include "actors/limits/plan.hpp"
#include "storage/events/event_id.hpp"
#include "storage/events/idempotency.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace penstock {

/// What has become of a claim to store the events of a key.
enum class claim_state : std::uint8_t {
  asked,    ///< nothing known yet
  fresh,    ///< the key is new: whoever claimed it stores the events, and tells the outcome
  waiting,  ///< another request with the key is under way; its outcome will be told
  accepted, ///< stored by this request
  repeat,   ///< stored by an earlier request
  conflict, ///< the key was used for something else: 422
  failed,   ///< not stored; `status` says why, and a retry is a first request again
};

/// One answer to a claim; `index` is the claim's place in the request.
struct claim_verdict {
  std::uint32_t index = 0;
  claim_state state = claim_state::asked;
  std::uint64_t seq = 0; ///< of the first event stored, with accepted and repeat
  std::uint32_t count = 0;
  std::uint16_t status = 0; ///< with failed
  std::uint32_t retry_after_s = 0;
  std::string tag{}; ///< of the journal that has the events; empty: of the node that answers
};

// -- within a node --------------------------------------------------------------------------------

struct claim_item {
  std::uint32_t index = 0;
  idempotency_key key;
  std::uint64_t content = 0;
};

/// A request's keys that lie in one shard. Answered with claim_reply, and for those that are
/// waiting by another claim_reply each.
struct claim_request {
  std::uint64_t token = 0;
  std::vector<claim_item> items;
  std::uint64_t epoch = 0; ///< of the view by which the keys are this node's
};
struct claim_reply {
  std::uint64_t token = 0;
  std::vector<claim_verdict> verdicts;
};

/// What came of fresh claims; told by the front end that made them, for each exactly once.
struct claim_outcome {
  idempotency_record record; ///< `seq` and `count` 0: it failed
  std::uint16_t status = 0;
  std::uint32_t retry_after_s = 0;
};
struct claims_settled {
  std::vector<claim_outcome> outcomes;
};

/// An index's timer: forget what has left the window.
struct expiry_tick {};

/// Another node holds this one's replicated events from now on: it is to know the keys of this
/// node's journal, too.
struct held_by {
  std::uint16_t member = 0;
};

/// To itself: go on with sending keys to their new owners.
struct move_keys {};

// -- between nodes: serialised --------------------------------------------------------------------

/// Events whose keys belong to another node, for that node to store. Answered with forward_reply.
struct forwarded_claim {
  std::uint32_t index = 0;
  std::uint32_t count = 0; ///< its events, which follow each other
  std::uint64_t key_high = 0;
  std::uint64_t key_low = 0;
  std::uint64_t content = 0;
};
struct forward_request {
  std::uint64_t token = 0;
  std::uint64_t client = 0; ///< these four as in admit_item
  std::uint64_t key = 0;
  std::uint32_t plan = 0;
  limit_mask limits = all_limits;
  std::string stream;
  std::vector<forwarded_claim> claims;
  std::vector<std::uint32_t> ends;     ///< of each event's body in `bodies`
  std::vector<std::string> types;      ///< content types: one an event, or one for all
  std::vector<std::string> attributes; ///< likewise
  std::string bodies;
  std::uint64_t epoch = 0; ///< of the view by which the keys belong there
  std::uint8_t hops = 0;   ///< how often it was passed on by who does not own them any more
};
struct forward_reply {
  std::uint64_t token = 0;
  std::string tag; ///< of the ids
  std::vector<claim_verdict> verdicts;
  verdict limits;             ///< what the client's limiter said
  std::uint8_t shortfall = 0; ///< of what was accepted, as `unpublished`
};

/// Keys of shards that have another owner now, and of which of those shards that was all. To the
/// owner's front end, for its index. Answered with keys_taken.
struct moved_key {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  std::uint64_t content = 0;
  std::uint64_t seq = 0;
  std::uint32_t count = 0;
  std::uint16_t journal = 0; ///< index into key_rows::tags
  std::int64_t time_ms = 0;
};
struct key_rows {
  std::uint64_t epoch = 0; ///< of the sender's view
  std::string from;        ///< its cluster address
  std::uint64_t token = 0; ///< comes back
  std::vector<std::string> tags;
  std::vector<moved_key> keys;
  std::vector<std::uint32_t> complete; ///< shards
};
struct keys_taken {
  std::uint64_t token = 0;
  std::vector<std::uint32_t> complete; ///< as they were sent
};

/// So often is a forwarded request passed on while views differ.
inline constexpr std::uint8_t max_forward_hops = 4;

/// A message from a peer carries no more events than a request may have.
inline constexpr std::size_t max_forwarded_events = 16'384;

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, claim_verdict& x) {
  return f(x.index, x.state, x.seq, x.count, x.status, x.retry_after_s, x.tag);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, forwarded_claim& x) {
  return f(x.index, x.count, x.key_high, x.key_low, x.content);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, forward_request& x) {
  return f(x.token, x.client, x.key, x.plan, x.limits, x.stream, x.claims, x.ends, x.types,
           x.attributes, x.bodies, x.epoch, x.hops);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, moved_key& x) {
  return f(x.high, x.low, x.content, x.seq, x.count, x.journal, x.time_ms);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, key_rows& x) {
  return f(x.epoch, x.from, x.token, x.tags, x.keys, x.complete);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, keys_taken& x) {
  return f(x.token, x.complete);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, forward_reply& x) {
  return f(x.token, x.tag, x.verdicts, x.limits, x.shortfall);
}

} // namespace penstock

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::claim_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::claim_reply)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::claims_settled)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::expiry_tick)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::move_keys)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::held_by)

CAF_BEGIN_TYPE_ID_BLOCK(penstock_claims, caf::first_custom_type_id + 150)
CAF_ADD_TYPE_ID(penstock_claims, (penstock::claim_state))
CAF_ADD_TYPE_ID(penstock_claims, (penstock::claim_verdict))
CAF_ADD_TYPE_ID(penstock_claims, (std::vector<penstock::claim_verdict>))
CAF_ADD_TYPE_ID(penstock_claims, (penstock::forwarded_claim))
CAF_ADD_TYPE_ID(penstock_claims, (std::vector<penstock::forwarded_claim>))
CAF_ADD_TYPE_ID(penstock_claims, (penstock::forward_request))
CAF_ADD_TYPE_ID(penstock_claims, (penstock::forward_reply))
CAF_ADD_TYPE_ID(penstock_claims, (penstock::claim_request))
CAF_ADD_TYPE_ID(penstock_claims, (penstock::claim_reply))
CAF_ADD_TYPE_ID(penstock_claims, (penstock::claims_settled))
CAF_ADD_TYPE_ID(penstock_claims, (penstock::expiry_tick))
CAF_ADD_TYPE_ID(penstock_claims, (penstock::move_keys))
CAF_ADD_TYPE_ID(penstock_claims, (penstock::moved_key))
CAF_ADD_TYPE_ID(penstock_claims, (std::vector<penstock::moved_key>))
CAF_ADD_TYPE_ID(penstock_claims, (penstock::key_rows))
CAF_ADD_TYPE_ID(penstock_claims, (penstock::keys_taken))
CAF_ADD_TYPE_ID(penstock_claims, (penstock::held_by))
CAF_END_TYPE_ID_BLOCK(penstock_claims)
