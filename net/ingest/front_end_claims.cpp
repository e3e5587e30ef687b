// Requests that carry idempotency keys: the keys are claimed before anything is charged or stored.
#include "actors/base/shards.hpp"
#include "actors/cluster/placement.hpp"
#include "actors/journal/journal_messages.hpp"
#include "actors/streams/stream_settings.hpp"
#include "net/base/retry_after.hpp"
#include "net/http/front_end_metrics.hpp"
#include "net/ingest/front_end.hpp"

#include <boost/unordered/unordered_flat_set.hpp>

#include <algorithm>

namespace penstock {

namespace {

request_claims& claims_of(turn_batch& batch) {
  return *batch.details[batch.requests[0].details].claims;
}

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

/// `event`: the CloudEvent that `body` is; null: the claim is the request's Idempotency-Key.
void front_end::add_claim(turn_batch& batch, waiting_request& r, const incoming& in,
                          const cloud_event* event, std::string_view body, std::uint32_t line,
                          std::uint32_t first, std::uint32_t count) {
  auto& claims = batch.details[r.details].claims;
  if (!claims) {
    claims = std::make_unique<request_claims>();
    claims->one_for_all = in.has_key || in.kind != body_kind::cloud_events;
    if (waits_beyond_disk(r.ack)) {
      const auto& settings = stream_settings_of(in.stream);
      claims->policy = settings.on_timeout(r.ack);
      claims->max_wait_ns += std::chrono::nanoseconds{settings.wait_ms(r.ack)}.count();
    }
  }
  const auto& hash = *parts_.hash_keys;
  auto type = in.kind == body_kind::cloud_events && !in.has_key
                  ? cloud_event_content_type
                  : in.head[request_field::content_type];
  // A structured event is the same one alone and in a batch, whatever the header's parameters.
  if (in.kind == body_kind::cloud_event) type = cloud_event_content_type;
  auto attributes = in.binary ? std::string_view{event_.attributes} : std::string_view{};
  event_claim claim;
  if (in.has_key)
    claim.key = hash.of_header(in.client, key_);
  else if (!event->relayed_id.empty())
    claim.key = hash.of_relayed(in.client, event->relayed_id);
  else
    claim.key = hash.of_event(in.client, event->source, event->id);
  claim.content = hash.of_content({in.stream, type, attributes, body});
  claim.line = line;
  const auto& block = *batch.blocks[r.block];
  claim.offered = count;
  claim.bytes = block.events[first + count - 1].end - block.begin_of(first);
  claim.member = places_ ? places_->shards[shard_of(claim.key.high)].owner : parts_.self_member;
  claims->all.push_back(claim);
  batch.blocks[r.block]->keys.push_back({claim.key, claim.content, first, count});
  note_in_flight(batch, sizeof claim + sizeof(block_key));
}

// Asks the indexes that have the keys, or the nodes that do.
void front_end::claim(std::unique_ptr<turn_batch> batch) {
  const auto details = batch->requests[0].details;
  if (details == waiting_request::no_details || !batch->details[details].claims)
    return admit(std::move(batch)); // nothing of it can be stored
  auto& claims = claims_of(*batch);
  batch->claim_token = next_token_++;
  const auto token = batch->claim_token;
  if (!claims.origin) forward_others(*batch);
  const auto epoch = claims.origin ? claims.origin_epoch : places_ ? places_->epoch : 0;
  std::vector<claim_request> questions(parts_.idempotency.size());
  for (std::uint32_t i = 0; i < claims.all.size(); ++i) {
    const auto& one = claims.all[i];
    if (one.state != claim_state::asked) continue;
    auto& question = questions[shard_of(one.key.high) % questions.size()];
    question.items.push_back({i, one.key, one.content});
    ++claims.asked;
  }
  auto* here = batch.get();
  claimed_.emplace(token, claimed_batch{here, std::move(batch)});
  if (claims.asked == 0) return decided(token);
  for (std::size_t i = 0; i < questions.size(); ++i) {
    if (questions[i].items.empty()) continue;
    questions[i].token = token;
    questions[i].epoch = epoch;
    self_->send(parts_.idempotency[i], std::move(questions[i]));
  }
}

void front_end::on_claims(const claim_reply& reply) {
  take_verdicts(reply.token, reply.verdicts, parts_.node.tag);
}

void front_end::take_verdicts(std::uint64_t token, const std::vector<claim_verdict>& verdicts,
                              std::string_view tag) {
  auto found = claimed_.find(token);
  if (found == claimed_.end()) return; // it was answered when its time was over
  auto& claims = claims_of(*found->second.batch);
  const bool deciding = claims.asked > 0;
  for (const auto& verdict : verdicts) {
    if (verdict.index >= claims.all.size()) continue;
    auto& one = claims.all[verdict.index];
    if (one.state == claim_state::asked)
      --claims.asked;
    else if (one.state == claim_state::waiting)
      --claims.open;
    else
      continue;
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
    conclude(std::move(found->second.parked));
}

// Events of a request are stored in its order. So none is stored while one before it is being
// stored by another request, as after a timeout of a sender that then sends more: a retry stores it.
// Of events that other nodes own there is no order.
void front_end::hold_back_later(request_claims& claims) {
  // Two that overlap and came at one moment, to two lanes, come back at one moment half as often.
  const auto retry_s = retry_when_unavailable_s + static_cast<std::uint32_t>(next_token_ % 2);
  for (auto i = first_open(claims.all, parts_.self_member); i < claims.all.size(); ++i) {
    auto& one = claims.all[i];
    if (one.state != claim_state::fresh) continue;
    one.state = claim_state::failed;
    one.status = status_unavailable;
    one.retry_after_s = retry_s;
    one.is_held_back = true;
    tell_index(one, {{.key = one.key, .content = one.content}, one.status, one.retry_after_s});
  }
}

// A repeat is answered as the first was, also where its stream may hold no more; what is new is not
// stored.
void front_end::refuse_full(request_claims& claims, std::string_view stream) {
  const auto why = stream_is_full(stream);
  if (!why) return;
  bool refused = false;
  for (auto& one : claims.all) {
    if (one.state != claim_state::fresh) continue;
    one.state = claim_state::failed;
    one.status = static_cast<std::uint16_t>(why->status);
    one.retry_after_s = retry_when_full_s;
    tell_index(one, {{.key = one.key, .content = one.content}, one.status, one.retry_after_s});
    refused = true;
  }
  if (!refused) return;
  claims.why = why->detail;
  parts_.metrics.count(shed_reason::stream_full);
}

// Only what is new goes on to the limiter; it is asked in any case, for what the answer tells of
// it.
void front_end::decided(std::uint64_t token) {
  auto batch = std::move(claimed_[token].parked);
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
  admit(std::move(batch));
}

void front_end::tell_index(const event_claim& claim, const claim_outcome& outcome) {
  const auto& to = parts_.idempotency[shard_of(claim.key.high) % parts_.idempotency.size()];
  self_->send(to, claims_settled{{outcome}});
}

// What the limiter did not grant is no longer claimed. The first events are granted.
void front_end::fail_ungranted(turn_batch& batch) {
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
void front_end::settle_stored(turn_batch& batch, const append_done& done) {
  auto& claims = claims_of(batch);
  auto& r = batch.requests[0];
  problem what;
  if (!done.ok) {
    what = not_stored(done.why);
    claims.why = what.detail;
    parts_.metrics.count(done.why.code == errc::journal_full ? shed_reason::journal_full
                         : done.why.code == errc::disk_full  ? shed_reason::disk_full
                                                             : shed_reason::journal_error);
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
      std::copy_n(parts_.node.tag.begin(), std::min(parts_.node.tag.size(), one.tag.size()),
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
void front_end::conclude(std::unique_ptr<turn_batch> batch) {
  auto& claims = claims_of(*batch);
  if (claims.at != request_claims::stage::waiting) {
    claims.at = request_claims::stage::waiting;
    claims.since_ns = parts_.loop.now_ns();
  }
  const auto token = batch->claim_token;
  if (claims.open > 0) {
    claimed_[token].parked = std::move(batch);
    return;
  }
  claimed_.erase(token);
  if (!claims.origin) count_claimed_usage(*batch);
  auto& r = batch->requests[0];
  if (waits_beyond_disk(r.ack)) return await_claimed(std::move(batch));
  if (claims.origin)
    answer_origin(r, claims);
  else
    answer_claimed(r, *batch->details_of(r));
  release(std::move(batch));
}

// Nothing more is expected of the claims that are open, or of those that `member` owns: whether
// their events are stored is unknown here, and a repeat will find out.
void front_end::give_up_claims(std::uint64_t token, std::optional<std::uint16_t> member) {
  auto found = claimed_.find(token);
  if (found == claimed_.end()) return;
  auto& claims = claims_of(*found->second.batch);
  for (auto& one : claims.all) {
    if (one.state != claim_state::waiting || (member && one.member != *member)) continue;
    one.state = claim_state::failed;
    one.status = status_unavailable;
    one.retry_after_s = retry_when_unavailable_s;
    --claims.open;
  }
  if (claims.at == request_claims::stage::waiting && claims.open == 0)
    conclude(std::move(found->second.parked));
}

void front_end::check_claim_timeouts() {
  std::vector<std::uint64_t> late;
  for (auto& [token, one] : claimed_) {
    const auto& claims = claims_of(*one.batch);
    if (claims.at == request_claims::stage::waiting &&
        claims.since_ns + claims.max_wait_ns < parts_.loop.now_ns())
      late.push_back(token);
  }
  for (auto token : late)
    give_up_claims(token, std::nullopt);
}

} // namespace penstock
