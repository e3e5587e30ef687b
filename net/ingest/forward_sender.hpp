// Keys of other nodes: their events are sent there, so that a repeat is recognised through
// whichever node it comes.
#pragma once

#include "actors/idempotency/claim_messages.hpp"
#include "net/ingest/claim_table.hpp"
#include "net/ingest/cluster_routes.hpp"
#include "net/ingest/lane_context.hpp"
#include "net/ingest/turn_batch.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <utility>

namespace penstock {

/// What a forwarded request holds, in the ledger's bytes.
std::size_t memory_bytes(const forward_request& request);

/// What is for an owner that is not linked yet waits for it, for verdict_timeout_ms at most; as
/// many, and as large, as max_in_flight_bytes lets be under way. Not synchronised.
class forward_sender {
 public:
  /// `claimed`: the requests under way. All outlive it.
  forward_sender(lane_context& lane, const cluster_routes& cluster, const claim_table& claimed,
                 std::chrono::milliseconds verdict_timeout_ms)
      : lane_(lane), cluster_(cluster), claimed_(claimed), verdict_timeout_ms_(verdict_timeout_ms) {
  }

  /// Sends the events whose keys belong to other nodes there; their claims are settled by the
  /// reply.
  void forward_others(turn_batch& batch);
  /// A member is linked: what waited for it goes.
  void send_unsent(std::uint16_t member);
  /// What waited too long: `give_up(token, member)` is called for each.
  template <class GiveUp>
  void drop_late(GiveUp give_up);

 private:
  struct unsent_forward {
    std::uint16_t member = 0;
    std::int64_t since_ns = 0;
    std::size_t bytes = 0; ///< counted
    forward_request what;
  };

  void send(std::uint16_t member, forward_request&& request);

  lane_context& lane_;
  const cluster_routes& cluster_;
  const claim_table& claimed_;
  std::chrono::milliseconds verdict_timeout_ms_;
  std::deque<unsent_forward> unsent_; // in order of time
};

template <class GiveUp>
void forward_sender::drop_late(GiveUp give_up) {
  if (unsent_.empty()) return;
  const auto since_ns = lane_.loop.now_ns() - std::chrono::nanoseconds{verdict_timeout_ms_}.count();
  while (!unsent_.empty() && unsent_.front().since_ns < since_ns) {
    const auto& late = unsent_.front();
    lane_.metrics.count(shed_reason::unreachable, late.what.claims.size());
    lane_.memory.change(memory_part::requests, late.bytes, 0);
    give_up(late.what.token, late.member);
    unsent_.pop_front();
  }
}

} // namespace penstock
