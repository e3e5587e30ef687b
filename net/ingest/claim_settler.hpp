// What becomes of claimed keys: what the limiter did not grant, what is stored, and the request's
// end.
#pragma once

#include "actors/idempotency/claim_messages.hpp"
#include "actors/interfaces/interfaces.hpp"
#include "actors/journal/journal_messages.hpp"
#include "net/ingest/ack_waits.hpp"
#include "net/ingest/batch_pool.hpp"
#include "net/ingest/claim_answers.hpp"
#include "net/ingest/claim_table.hpp"
#include "net/ingest/lane_context.hpp"
#include "net/ingest/responder.hpp"
#include "net/ingest/turn_batch.hpp"
#include "net/ingest/usage_recorder.hpp"

#include <memory>
#include <vector>

namespace penstock {

/// The latter half of a claimed request's path; idempotency_client is the former. Each claim that
/// is fresh is told to its index once: as stored, or as failed. Not synchronised.
class claim_settler {
 public:
  /// `indexes`: this node's; key shard s belongs to indexes[s % size]. All outlive it.
  claim_settler(lane_context& lane, responder& answers, claim_answers& claimed, ack_waits& waits,
                usage_recorder& usage, batch_pool& pool,
                const std::vector<idempotency_handle>& indexes)
      : lane_(lane), responder_(answers), claim_answers_(claimed), waits_(waits), usage_(usage),
        pool_(pool), indexes_(indexes) {}

  /// Requests under way whose keys were claimed.
  claim_table& table() { return table_; }
  const claim_table& table() const { return table_; }

  /// What the limiter did not grant is no longer claimed. The first events are granted.
  void fail_ungranted(turn_batch& batch);
  /// The events are in the journal with their keys, or none of them is.
  void settle_stored(turn_batch& batch, const append_done& done);
  /// All that this request stores itself is settled: it is answered, or waits for the rest.
  void conclude(std::unique_ptr<turn_batch> batch);
  /// Tells the index that has the claim's key what became of it.
  void tell_index(const event_claim& claim, const claim_outcome& outcome);

 private:
  lane_context& lane_;
  responder& responder_;
  claim_answers& claim_answers_;
  ack_waits& waits_;
  usage_recorder& usage_;
  batch_pool& pool_;
  const std::vector<idempotency_handle>& indexes_;
  claim_table table_;
};

} // namespace penstock
