// What peers forward, since its keys are this node's: it takes the path of our own events.
#pragma once

#include "actors/idempotency/claim_messages.hpp"
#include "actors/interfaces/interfaces.hpp"
#include "net/ingest/batch_pool.hpp"
#include "net/ingest/cluster_routes.hpp"
#include "net/ingest/idempotency_client.hpp"
#include "net/ingest/lane_context.hpp"
#include "net/ingest/limiter_client.hpp"
#include "net/ingest/served_rules.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace penstock {

/// Not synchronised.
class forward_receiver {
 public:
  /// `indexes`: see idempotency_client. All outlive it.
  forward_receiver(lane_context& lane, served_rules& rules, const cluster_routes& cluster,
                   batch_pool& pool, const limiter_client& admit, idempotency_client& claims,
                   const stream_names& names, const std::vector<idempotency_handle>& indexes)
      : lane_(lane), rules_(rules), cluster_(cluster), pool_(pool), limiters_(admit),
        claims_(claims), names_(names), indexes_(indexes) {}

  /// A peer's events; answers whoever sent the message.
  void on_forward(const forward_request& request);
  /// A peer's keys, for the index of their shards; which answers it.
  void on_key_rows(const key_rows& rows);

 private:
  struct refusal_of_forward {
    std::uint16_t status = 0; ///< 0: it is taken
    std::uint32_t retry_after_s = 0;
    std::uint32_t name_place = stream_names::no_place; ///< reserved, if it is taken
  };

  const front_end_handle* later_owner(const forward_request& request) const;
  refusal_of_forward look_at(const forward_request& request, const front_end_handle& from);
  void take(const forward_request& request, const front_end_handle& from, std::uint32_t name_place);
  void fill(turn_batch& batch, const forward_request& request);

  lane_context& lane_;
  served_rules& rules_;
  const cluster_routes& cluster_;
  batch_pool& pool_;
  const limiter_client& limiters_;
  idempotency_client& claims_;
  const stream_names& names_;
  const std::vector<idempotency_handle>& indexes_;
};

} // namespace penstock
