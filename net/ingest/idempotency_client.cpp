#include "net/ingest/idempotency_client.hpp"

#include "actors/base/shards.hpp"
#include "actors/base/unpublished.hpp"
#include "net/base/retry_after.hpp"
#include "net/http/front_end_metrics.hpp"
#include "net/ingest/event_intake.hpp"
#include "storage/base/assert.hpp"

#include <boost/unordered/unordered_flat_set.hpp>

#include <algorithm>
#include <utility>

namespace penstock {

namespace {

struct key_hash {
  std::size_t operator()(const idempotency_key& key) const { return key.low; }
};

// The first of the claims that another request is to settle, or that nobody here could decide. One
// that waits for an event before it in its own request is none of these. Keys of other nodes than
// `self` don't count.
std::size_t first_open(const std::vector<event_claim>& all, std::uint16_t self) {
  const auto is_open = [self](const event_claim& one) {
    return one.member == self &&
           (one.state == claim_state::waiting || one.state == claim_state::failed);
  };
  if (std::none_of(all.begin(), all.end(), is_open)) return all.size();
  boost::unordered_flat_set<idempotency_key, key_hash> ours;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].state == claim_state::fresh) ours.insert(all[i].key);
    if (is_open(all[i]) && !ours.contains(all[i].key)) return i;
  }
  return all.size();
}

} // namespace

void idempotency_client::claim(std::unique_ptr<turn_batch> batch) {
  const auto details = batch->requests[0].details;
  if (details == waiting_request::no_details || !batch->details[details].claims)
    return limiters_.admit(std::move(batch)); // nothing of it can be stored
  auto& claims = claims_of(*batch);
  batch->claim_token = lane_.take_token();
  const auto token = batch->claim_token;
  if (!claims.origin) forwards_.forward_others(*batch);
  const auto epoch = claims.origin ? claims.origin_epoch : cluster_.epoch();
  std::vector<claim_request> questions(indexes_.size());
  for (std::uint32_t i = 0; i < claims.all.size(); ++i) {
    const auto& one = claims.all[i];
    if (one.state != claim_state::asked) continue;
    auto& question = questions[shard_of(one.key.high) % questions.size()];
    question.items.push_back({i, one.key, one.content});
    ++claims.asked;
  }
  settler_.table().add(std::move(batch));
  if (claims.asked == 0) return decided(token);
  for (std::size_t i = 0; i < questions.size(); ++i) {
    if (questions[i].items.empty()) continue;
    questions[i].token = token;
    questions[i].epoch = epoch;
    lane_.self->send(indexes_[i], std::move(questions[i]));
  }
}

void idempotency_client::on_claims(const claim_reply& reply) {
  take_verdicts(reply.token, reply.verdicts, lane_.node.tag);
}

void idempotency_client::on_forward_reply(const forward_reply& reply) {
  auto* batch = settler_.table().find(reply.token);
  if (!batch) return;
  // Where several nodes have a part the client's limits were charged by each; the last one knows.
  auto& claims = claims_of(*batch);
  claims.limits = reply.limits;
  const auto wanted = batch->requests[0].ack;
  if (reply.shortfall == static_cast<std::uint8_t>(unpublished::replicated)) {
    if (wanted == ack_level::published) claims.shortfall = unpublished::late;
  } else if (reply.shortfall >= unpublished_names.size())
    claims.shortfall = unpublished::late;
  else if (reply.shortfall > 0)
    claims.shortfall = static_cast<unpublished>(reply.shortfall);
  auto verdicts = reply.verdicts;
  for (auto& verdict : verdicts) {
    // A peer's last word; anything else it might say would leave the request without an end.
    const bool settled = verdict.state == claim_state::accepted ||
                         verdict.state == claim_state::repeat ||
                         verdict.state == claim_state::conflict;
    if (settled) continue;
    verdict.state = claim_state::failed;
    if (verdict.status < 400 || verdict.status > 599) verdict.status = status_unavailable;
  }
  take_verdicts(reply.token, verdicts, reply.tag);
}

void idempotency_client::take_verdicts(std::uint64_t token,
                                       const std::vector<claim_verdict>& verdicts,
                                       std::string_view tag) {
  auto* batch = settler_.table().find(token);
  if (!batch) return; // it was answered when its time was over
  auto& claims = claims_of(*batch);
  const bool deciding = claims.asked > 0;
  for (const auto& verdict : verdicts) {
    if (verdict.index >= claims.all.size()) continue;
    auto& one = claims.all[verdict.index];
    if (one.state == claim_state::asked) {
      PENSTOCK_ASSERT(claims.asked > 0);
      --claims.asked;
    } else if (one.state == claim_state::waiting) {
      PENSTOCK_ASSERT(claims.open > 0);
      --claims.open;
    } else {
      continue;
    }
    one.state = verdict.state;
    one.seq = verdict.seq;
    one.count = verdict.count;
    one.status = verdict.status;
    one.retry_after_s = verdict.retry_after_s;
    const std::string_view of = verdict.tag.empty() ? tag : std::string_view{verdict.tag};
    std::copy_n(of.begin(), std::min(of.size(), one.tag.size()), one.tag.begin());
    if (one.state == claim_state::waiting) ++claims.open;
  }
  if (deciding && claims.asked == 0) return decided(token);
  if (claims.at == request_claims::stage::waiting && claims.open == 0)
    settler_.conclude(settler_.table().take(token));
}

// Only what is new goes on to the limiter; it is asked in any case, for what the answer tells of
// it.
void idempotency_client::decided(std::uint64_t token) {
  auto batch = settler_.table().take(token);
  auto& claims = claims_of(*batch);
  if (!claims.one_for_all) hold_back_later(claims);
  auto& r = batch->requests[0];
  auto& block = *batch->blocks[r.block];
  refuse_full(claims, block.stream);
  const auto is_fresh = [](const event_claim& one) { return one.state == claim_state::fresh; };
  if (claims.one_for_all) {
    if (!is_fresh(claims.all[0])) block.clear();
  } else {
    std::vector<bool> keep(claims.all.size());
    std::transform(claims.all.begin(), claims.all.end(), keep.begin(), is_fresh);
    if (std::find(keep.begin(), keep.end(), true) == keep.end())
      block.clear();
    else if (std::find(keep.begin(), keep.end(), false) != keep.end())
      block.keep_only(keep);
  }
  r.count = static_cast<std::uint32_t>(block.size());
  batch->items[0].events = r.count;
  batch->sizes.clear();
  if (r.plan->charges.counts_bytes()) tell_sizes(*batch);
  claims.at = request_claims::stage::travelling;
  limiters_.admit(std::move(batch));
}

void idempotency_client::fail(event_claim& one, std::uint16_t status, std::uint32_t retry_after_s) {
  PENSTOCK_ASSERT(one.state == claim_state::fresh);
  one.state = claim_state::failed;
  one.status = status;
  one.retry_after_s = retry_after_s;
  settler_.tell_index(one,
                      {{.key = one.key, .content = one.content}, one.status, one.retry_after_s});
}

// Events of a request are stored in its order. So none is stored while one before it is being
// stored by another request, as after a timeout of a sender that then sends more: a retry stores
// it. Of events that other nodes own there is no order.
void idempotency_client::hold_back_later(request_claims& claims) {
  // Two that overlap and came at one moment, to two lanes, come back at one moment half as often.
  const auto retry_s =
      retry_when_unavailable_s + static_cast<std::uint32_t>(lane_.next_token() % 2);
  for (auto i = first_open(claims.all, cluster_.self_member()); i < claims.all.size(); ++i) {
    auto& one = claims.all[i];
    if (one.state != claim_state::fresh) continue;
    fail(one, status_unavailable, retry_s);
    one.is_held_back = true;
  }
}

// A repeat is answered as the first was, also where its stream may hold no more; what is new is not
// stored.
void idempotency_client::refuse_full(request_claims& claims, std::string_view stream) {
  const auto why = rules_.stream_is_full(stream);
  if (!why) return;
  bool refused = false;
  for (auto& one : claims.all) {
    if (one.state != claim_state::fresh) continue;
    fail(one, static_cast<std::uint16_t>(why->status), retry_when_full_s);
    refused = true;
  }
  if (!refused) return;
  claims.why = why->detail;
  lane_.metrics.count(shed_reason::stream_full);
}

void idempotency_client::give_up(std::uint64_t token, std::optional<std::uint16_t> member) {
  auto* batch = settler_.table().find(token);
  if (!batch) return;
  auto& claims = claims_of(*batch);
  for (auto& one : claims.all) {
    if (one.state != claim_state::waiting || (member && one.member != *member)) continue;
    one.state = claim_state::failed;
    one.status = status_unavailable;
    one.retry_after_s = retry_when_unavailable_s;
    PENSTOCK_ASSERT(claims.open > 0);
    --claims.open;
  }
  if (claims.at == request_claims::stage::waiting && claims.open == 0)
    settler_.conclude(settler_.table().take(token));
}

void idempotency_client::on_peer_down(std::uint16_t member) {
  for (auto token : settler_.table().tokens_if([](auto&) { return true; }))
    give_up(token, member);
}

void idempotency_client::on_tick() {
  const auto is_late = [this](const request_claims& claims) {
    return claims.at == request_claims::stage::waiting &&
           claims.since_ns + claims.max_wait_ns < lane_.loop.now_ns();
  };
  if (settler_.table().empty()) return;
  for (auto token : settler_.table().tokens_if(is_late))
    give_up(token, std::nullopt);
}

} // namespace penstock
