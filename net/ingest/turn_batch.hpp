// The requests of one loop turn that share a limiter, on their way from socket to disk.
#pragma once

#include "actors/base/unpublished.hpp"
#include "actors/idempotency/claim_messages.hpp"
#include "actors/interfaces/interfaces.hpp"
#include "actors/journal/journal_messages.hpp"
#include "actors/limits/limit_messages.hpp"
#include "actors/streams/stream_names.hpp"
#include "actors/streams/stream_settings.hpp"
#include "net/base/problem.hpp"
#include "net/http/event_body.hpp"
#include "net/ingest/batch_errors.hpp"
#include "net/ingest/usage_notes.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

class session;
class served_plans;
struct served_plan;

/// A request that waits for its verdict, and then perhaps for the disk.
struct waiting_request {
  session* from = nullptr;      ///< null: forwarded by a peer
  std::uint32_t generation = 0; ///< of the session, which may be used again meanwhile
  std::uint32_t exchange = 0;
  std::uint32_t block = 0; ///< index into turn_batch::blocks
  std::uint32_t first = 0; ///< its first event in that block
  std::uint32_t count = 0; ///< its events: valid ones before the verdict, granted ones after
  std::uint32_t details = no_details; ///< index into turn_batch::details
  std::uint32_t position = 0;         ///< of its item in what the limiter was asked
  bool keep_alive = true;
  bool http_1_0 = false;
  bool answered = false;
  bool replayed = false;                ///< answered with what an earlier request stored
  ack_level ack = ack_level::journaled; ///< when it is answered; published: it feeds a publisher
  unpublished shortfall =
      unpublished::no;               ///< what its answer must admit, if it waits beyond the disk
  const served_plan* plan = nullptr; ///< under which it was let in; one of turn_batch::plans
  /// Reserved for its stream, whose name is new, until it is known whether an event is stored.
  std::uint32_t name_place = stream_names::no_place;
  verdict state{};
  std::int64_t start_ns = 0;

  static constexpr std::uint32_t no_details = ~0u;
};

/// A request to store what came with one key.
struct event_claim {
  idempotency_key key;
  std::uint64_t content = 0;
  claim_state state = claim_state::asked;
  std::uint32_t line = 0;    ///< among the request's events, bad ones included
  std::uint32_t offered = 0; ///< events that came with it
  std::uint32_t bytes = 0;   ///< of their bodies
  std::uint16_t member = 0;  ///< the node that owns the key
  std::uint16_t status = 0;  ///< with failed, as is retry_after_s
  bool is_held_back = false; ///< with failed: behind one that another request is storing
  std::uint32_t retry_after_s = 0;
  std::uint32_t count = 0; ///< with accepted and repeat, as are seq and tag
  std::uint64_t seq = 0;
  std::array<char, journal_tag_size> tag{};

  std::string_view tag_text() const { return {tag.data(), tag[0] == 0 ? 0 : tag.size()}; }
};

/// How long a request waits for another one with the same key, or for the node that owns the key;
/// for that one as much longer as it may wait for sinks.
inline constexpr std::int64_t max_claim_wait_ns = 10'000'000'000;

/// The claims of a request that carries a key. Such a request has a turn_batch of its own, and is
/// answered when its own events are stored and all claims of the same keys by others are settled.
struct request_claims {
  enum class stage : std::uint8_t { deciding, travelling, waiting };
  std::vector<event_claim> all; ///< one for each valid event, or one for all of them
  bool one_for_all = true;
  stage at = stage::deciding;
  std::uint32_t asked = 0;                      ///< not answered by our own indexes yet
  std::uint32_t open = 0;                       ///< being settled by another request or node
  std::int64_t since_ns = 0;                    ///< when it began to wait for those…
  std::int64_t max_wait_ns = max_claim_wait_ns; ///< …and for how long it may
  std::string why;                              ///< what failed here, if something did
  std::optional<verdict> limits;                ///< from the node that stored the events
  unpublished shortfall = unpublished::no;      ///< of the events that other nodes stored
  unpublished_policy policy = unpublished_policy::accept; ///< of the stream
  front_end_handle origin; ///< the front end of a peer that forwarded this; null: ours
  std::uint64_t origin_token = 0;
  std::uint64_t origin_epoch = 0; ///< of the peer's view
};

/// What only some requests have: a batch's lines, or an error that was found before the limiter
/// was asked (it is asked all the same, for no event, so that the answer tells the client its
/// limits).
struct request_details {
  bool is_batch = false;
  bool wants_ids = false; ///< Prefer: return=representation
  std::uint32_t lines = 0;
  std::uint32_t unread = 0;  ///< of these, the last ones, behind the last bad one that was read
  std::uint32_t offered = 0; ///< valid lines, before the verdict
  bad_elements bad;          ///< by their index among the lines that are not blank
  std::optional<problem> failure;
  std::unique_ptr<request_claims> claims;
};

/// Bodies are copied once, from the socket's buffer into the block of their stream, and stay there
/// until they are on the disk. Requests, items and verdicts are in the same order.
struct turn_batch {
  std::uint64_t token = 0;
  std::uint64_t claim_token = 0; ///< not 0: one request, whose keys were claimed
  std::uint16_t destination = 0;
  std::size_t memory_bytes = 0; ///< counted against max_in_flight
  std::vector<admit_item> items;
  std::vector<std::uint32_t> sizes; ///< see admit_request
  std::vector<waiting_request> requests;
  std::shared_ptr<served_plans> plans; ///< in force before it was opened, and all since
  bool limited = false;                ///< a request in it has a plan with limits
  bool published = false;              ///< a request in it waits for more than the disk
  std::vector<request_details> details;
  std::vector<block_ptr> blocks;
  usage_notes usage; ///< of each request; empty when usage is not counted

  const request_details* details_of(const waiting_request& r) const {
    return r.details == waiting_request::no_details ? nullptr : &details[r.details];
  }
};

/// Moves the requests for which `taken` is set into a fresh batch, with their events and in order.
/// Not for a batch whose keys were claimed.
void move_requests(turn_batch& from, const std::vector<bool>& taken, turn_batch& to);

} // namespace penstock
