#include "net/ingest/claim_settler.hpp"

#include "actors/base/shards.hpp"
#include "net/base/retry_after.hpp"
#include "storage/base/assert.hpp"

#include <algorithm>
#include <utility>

namespace penstock {

void claim_settler::tell_index(const event_claim& claim, const claim_outcome& outcome) {
  const auto& to = indexes_[shard_of(claim.key.high) % indexes_.size()];
  lane_.self->send(to, claims_settled{{outcome}});
}

// What the limiter did not grant is no longer claimed. The first events are granted.
void claim_settler::fail_ungranted(turn_batch& batch) {
  auto& claims = claims_of(batch);
  auto& r = batch.requests[0];
  const bool quota = static_cast<refusal>(r.state.reason) == refusal::quota || r.state.reason == 0;
  std::uint32_t fresh = 0;
  for (auto& one : claims.all) {
    if (one.state != claim_state::fresh) continue;
    if (fresh++ < r.count) continue;
    one.state = claim_state::failed;
    one.status = quota ? 429 : status_unavailable;
    one.retry_after_s = quota ? std::max(1u, r.state.reset_s) : retry_when_unavailable_s;
    tell_index(one, {{.key = one.key, .content = one.content}, one.status, one.retry_after_s});
  }
}

// The events are in the journal with their keys, or none of them is.
void claim_settler::settle_stored(turn_batch& batch, const append_done& done) {
  auto& claims = claims_of(batch);
  auto& r = batch.requests[0];
  problem what;
  if (!done.ok) {
    what = responder_.not_stored(done.why);
    claims.why = what.detail;
  }
  const auto& block = *batch.blocks[r.block];
  auto seq = block.first_seq + r.first;
  for (auto& one : claims.all) {
    if (one.state != claim_state::fresh) continue;
    claim_outcome outcome{{.key = one.key, .content = one.content}, 0, 0};
    if (done.ok) {
      one.state = claim_state::accepted;
      one.seq = outcome.record.seq = seq;
      one.count = outcome.record.count = claims.one_for_all ? r.count : 1;
      outcome.record.time_ms = block.time_ms;
      std::copy_n(lane_.node.tag.begin(), std::min(lane_.node.tag.size(), one.tag.size()),
                  one.tag.begin());
      seq += one.count;
    } else {
      one.state = claim_state::failed;
      one.status = outcome.status = static_cast<std::uint16_t>(what.status);
      one.retry_after_s = outcome.retry_after_s = retry_when_full_s;
    }
    tell_index(one, outcome);
  }
}

// All that this request stores itself is settled: it is answered, or waits for the rest.
void claim_settler::conclude(std::unique_ptr<turn_batch> batch) {
  auto& claims = claims_of(*batch);
  if (claims.at != request_claims::stage::waiting) {
    claims.at = request_claims::stage::waiting;
    claims.since_ns = lane_.loop.now_ns();
  }
  const auto token = batch->claim_token;
  if (claims.open > 0) {
    table_.park(std::move(batch));
    return;
  }
  table_.erase(token);
  if (!claims.origin) usage_.count_claimed(*batch);
  auto& r = batch->requests[0];
  if (waits_beyond_disk(r.ack)) return waits_.await_claimed(std::move(batch));
  if (claims.origin)
    claim_answers_.answer_origin(r, claims);
  else
    claim_answers_.answer_claimed(r, *batch->details_of(r));
  pool_.release(std::move(batch));
}

} // namespace penstock
