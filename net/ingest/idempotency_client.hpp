// Requests that carry idempotency keys: the keys are claimed before anything is charged or stored.
#pragma once

#include "actors/idempotency/claim_messages.hpp"
#include "actors/interfaces/interfaces.hpp"
#include "net/ingest/claim_settler.hpp"
#include "net/ingest/cluster_routes.hpp"
#include "net/ingest/forward_sender.hpp"
#include "net/ingest/lane_context.hpp"
#include "net/ingest/limiter_client.hpp"
#include "net/ingest/served_rules.hpp"
#include "net/ingest/turn_batch.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace penstock {

/// Such a request has a batch of its own. Not synchronised. A request's claims:
///
///   claim() ── asked == 0 ─────────────┐
///      │ deciding                      v
///      └── last claim_reply ──────> decided() ── limiter_client, journal_client (travelling)
///                                                        │ claim_settler::conclude()
///   a claim_reply or forward_reply, give_up() ──> waiting ─── open == 0 ──> answered
class idempotency_client {
 public:
  /// `indexes`: this node's; key shard s belongs to indexes[s % size]. All outlive it.
  idempotency_client(lane_context& lane, const served_rules& rules, const cluster_routes& cluster,
                     forward_sender& forwards, limiter_client& admit, claim_settler& settler,
                     const std::vector<idempotency_handle>& indexes)
      : lane_(lane), rules_(rules), cluster_(cluster), forwards_(forwards), limiters_(admit),
        settler_(settler), indexes_(indexes) {}

  /// Asks the indexes that have the keys, or the nodes that do. A batch without a claim is admitted
  /// at once.
  void claim(std::unique_ptr<turn_batch> batch);
  void on_claims(const claim_reply& reply);
  void on_forward_reply(const forward_reply& reply);
  /// Nothing more is expected of the claims that are open, or of those that `member` owns: whether
  /// their events are stored is unknown here, and a repeat will find out.
  void give_up(std::uint64_t token, std::optional<std::uint16_t> member);
  void on_peer_down(std::uint16_t member);
  void on_tick();

 private:
  void take_verdicts(std::uint64_t token, const std::vector<claim_verdict>& verdicts,
                     std::string_view tag);
  void decided(std::uint64_t token);
  void fail(event_claim& one, std::uint16_t status, std::uint32_t retry_after_s);
  void hold_back_later(request_claims& claims);
  void refuse_full(request_claims& claims, std::string_view stream);

  lane_context& lane_;
  const served_rules& rules_;
  const cluster_routes& cluster_;
  forward_sender& forwards_;
  limiter_client& limiters_;
  claim_settler& settler_;
  const std::vector<idempotency_handle>& indexes_;
};

} // namespace penstock
