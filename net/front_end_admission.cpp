// From the turn's batches to the limiters, and from their verdicts to the journal.
#include "net/front_end.hpp"

#include "actors/placement.hpp"

namespace penstock {

namespace {

constexpr std::uint16_t fallback_destination = 0;
constexpr std::int64_t max_hold_ns = 2'000'000;
constexpr std::size_t max_held_events = 512;

verdict unreachable_verdict() {
  verdict v;
  v.reason = static_cast<std::uint8_t>(refusal::unreachable);
  return v;
}

} // namespace

// One destination for each limiter of this node, and after them those of the peers in reach.
void front_end::place_destinations() {
  if (!destinations_.empty()) return;
  auto local = parts_.limiters.size();
  for (auto& limiter : parts_.limiters)
    destinations_.push_back({limiter, parts_.self_member, nullptr});
  destination_of_.resize(shard_count);
  std::map<std::uint16_t, std::uint16_t> of_member;
  for (std::uint32_t shard = 0; shard < shard_count; ++shard) {
    auto owner = parts_.shard_owner[shard];
    if (owner == parts_.self_member) {
      destination_of_[shard] = static_cast<std::uint16_t>(shard % local);
      continue;
    }
    // A peer not seen yet has one destination without a limiter.
    auto [it, fresh] = of_member.emplace(owner, destinations_.size());
    if (fresh) destinations_.push_back({nullptr, owner, nullptr});
    destination_of_[shard] = it->second;
  }
}

void front_end::on_peer_up(const peer_up& news) {
  if (peer_front_ends_.size() <= news.member) peer_front_ends_.resize(news.member + 1u);
  peer_front_ends_[news.member] = news.front_ends;
  if (news.limiters.empty()) return;
  // Destinations are never removed, so that indexes in batches under way stay good; those of a
  // peer that came back are used again.
  std::vector<std::uint16_t> mine;
  for (std::size_t i = 0; i < destinations_.size(); ++i)
    if (destinations_[i].member == news.member) mine.push_back(static_cast<std::uint16_t>(i));
  while (mine.size() < news.limiters.size()) {
    mine.push_back(static_cast<std::uint16_t>(destinations_.size()));
    destinations_.push_back({nullptr, news.member, nullptr});
  }
  for (std::size_t i = 0; i < mine.size(); ++i)
    destinations_[mine[i]].limiter = i < news.limiters.size() ? news.limiters[i] : nullptr;
  for (std::uint32_t shard = 0; shard < shard_count; ++shard)
    if (parts_.shard_owner[shard] == news.member)
      destination_of_[shard] = mine[shard % news.limiters.size()];
}

void front_end::on_peer_down(const peer_down& news) {
  if (news.member < peer_front_ends_.size()) peer_front_ends_[news.member].clear();
  std::vector<std::uint64_t> claimed;
  for (auto& [token, one] : claimed_)
    claimed.push_back(token);
  for (auto token : claimed)
    give_up_claims(token, news.member);
  for (auto& d : destinations_)
    if (d.member == news.member) d.limiter = nullptr;
  drop_questions_to(news.member);
  // What was asked there will not be answered.
  std::vector<std::uint64_t> lost;
  for (auto& [token, batch] : awaiting_verdict_)
    if (destinations_[batch->destination].member == news.member) lost.push_back(token);
  for (auto token : lost) {
    auto batch = std::move(awaiting_verdict_[token]);
    awaiting_verdict_.erase(token);
    fall_back(std::move(batch));
  }
}

void front_end::ask_limiters() {
  for (std::size_t i = 0; i < destinations_.size(); ++i) {
    if (destinations_[i].open) admit(std::move(destinations_[i].open));
  }
}

void front_end::admit(std::unique_ptr<turn_batch> batch) {
  const auto& limiter = destinations_[batch->destination].limiter;
  if (!batch->limited) {
    for (std::size_t r = 0; r < batch->requests.size(); ++r)
      batch->requests[r].state.granted = batch->items[r].events;
    apply(std::move(batch));
  } else if (!limiter) {
    fall_back(std::move(batch));
  } else {
    ask(limiter, std::move(batch));
  }
}

void front_end::ask(const caf::actor& limiter, std::unique_ptr<turn_batch> batch) {
  batch->token = next_token_++;
  batch->sent_ns = parts_.loop.now_ns();
  if (destinations_[batch->destination].member == parts_.self_member)
    parts_.metrics.limiter_messages.add();
  self_->send(limiter, admit_request{batch->token, batch->items, batch->sizes});
  auto token = batch->token;
  awaiting_verdict_.emplace(token, std::move(batch));
}

// The shard's owner can't be reached: as configured, our own limiters decide on what they know,
// or the requests are refused.
void front_end::fall_back(std::unique_ptr<turn_batch> batch) {
  if (parts_.on_unreachable == unreachable_policy::refuse) {
    parts_.metrics.fallback_refused.add(batch->requests.size());
    for (auto& r : batch->requests)
      r.state = unreachable_verdict();
    return apply(std::move(batch));
  }
  parts_.metrics.fallback_local.add(batch->requests.size());
  // One limiter takes the clients of all absent peers, so that a client is counted in one place
  // on this node however its owner cuts up its shards.
  batch->destination = fallback_destination;
  ask(parts_.limiters[fallback_destination], std::move(batch));
}

void front_end::on_verdicts(const admit_reply& reply) {
  auto found = awaiting_verdict_.find(reply.token);
  if (found == awaiting_verdict_.end()) return; // it came after its timeout
  auto batch = std::move(found->second);
  awaiting_verdict_.erase(found);
  if (reply.verdicts.size() != batch->requests.size()) return fall_back(std::move(batch));
  for (std::size_t i = 0; i < reply.verdicts.size(); ++i)
    take_verdict(batch->requests[i], reply.verdicts[i]);
  apply(std::move(batch));
}

// The plan may have changed since the request was let in, or not yet where its verdict is from:
// the answer tells of the one that decided.
void front_end::take_verdict(waiting_request& r, const verdict& state) {
  r.state = state;
  if (state.plan_digest == 0 || state.plan_digest == r.plan->digest) return;
  auto& known = plans_before_ ? *plans_before_ : *plans_; // its batch keeps it alive, too
  if (const auto* plan = known.find_as(r.plan->charges.plan(), state.plan_digest)) r.plan = plan;
}

void front_end::apply(std::unique_ptr<turn_batch> batch) {
  bool dropped = false;
  std::size_t granted = 0;
  for (auto& r : batch->requests) {
    auto grant = std::min(r.state.granted, r.count);
    dropped = dropped || grant < r.count;
    granted += grant;
  }
  if (dropped) drop_refused(*batch);
  for (auto& r : batch->requests) {
    r.count = std::min(r.state.granted, r.count);
    if (r.count == 0 && batch->claim_token == 0) answer_not_taken(r, batch->details_of(r));
  }
  if (batch->claim_token != 0) fail_ungranted(*batch);
  if (granted > 0) return to_journal(std::move(batch));
  if (batch->claim_token != 0) return conclude(std::move(batch));
  count_usage(*batch, false);
  release(std::move(batch));
}

// Takes the events that were not granted out of the blocks. Requests lie in each block in order.
void front_end::drop_refused(turn_batch& batch) {
  std::vector<std::vector<bool>> keep(batch.blocks.size());
  std::vector<std::uint32_t> kept(batch.blocks.size(), 0);
  for (std::size_t i = 0; i < batch.blocks.size(); ++i)
    keep[i].assign(batch.blocks[i]->size(), false);
  for (auto& r : batch.requests) {
    if (r.count == 0) continue;
    auto grant = std::min(r.state.granted, r.count);
    for (std::uint32_t i = 0; i < grant; ++i)
      keep[r.block][r.first + i] = true;
    r.first = kept[r.block];
    kept[r.block] += grant;
  }
  for (std::size_t i = 0; i < batch.blocks.size(); ++i)
    if (kept[i] > 0)
      batch.blocks[i]->keep_only(keep[i]);
    else
      batch.blocks[i]->clear();
}

void front_end::to_journal(std::unique_ptr<turn_batch> batch) {
  auto append = std::make_shared<append_batch>();
  append->front_end = caf::actor_cast<caf::actor>(self_);
  append->token = batch->token = next_token_++;
  for (auto& b : batch->blocks) {
    if (b->empty()) continue;
    append->events += b->size();
    append->blocks.push_back(b);
  }
  // Nothing may come between drawing the tickets and sending: the journal waits for gaps to fill.
  append->first_ticket =
      parts_.node.next_ticket.fetch_add(append->events, std::memory_order_relaxed);
  auto seq = append->first_ticket;
  for (auto& b : append->blocks) {
    b->first_seq = seq;
    seq += b->size();
  }
  append->urgent = false;
  for (auto& r : batch->requests)
    append->urgent = append->urgent || (r.count > 0 && r.ack != ack_level::received);
  parts_.metrics.events.add(append->events);
  hand_over(std::move(append));
  for (auto& r : batch->requests)
    if (r.count > 0 && r.ack == ack_level::received) answer_accepted(*batch, r);
  auto token = batch->token;
  awaiting_disk_.emplace(token, std::move(batch));
}

// What a client waits for goes at once; what was answered already waits a little for company, so
// that the journal's thread is not woken for every turn. Tickets of both are drawn in the order of
// the requests, so a held batch also holds back later ones of other front ends: hence so briefly.
void front_end::hand_over(append_batch_ptr append) {
  bool urgent = append->urgent;
  if (held_.empty()) held_until_ns_ = parts_.loop.now_ns() + max_hold_ns;
  held_events_ += append->events;
  held_.push_back(std::move(append));
  if (urgent || held_events_ >= max_held_events)
    send_held();
  else
    parts_.loop.wake_at(held_until_ns_);
}

void front_end::send_held() {
  parts_.metrics.journal_messages.add(held_.size());
  for (auto& append : held_)
    self_->send(parts_.journal, std::move(append));
  held_.clear();
  held_events_ = 0;
}

void front_end::on_durable(const append_done& done) {
  parts_.loop.refresh_now();
  for (auto token : done.tokens) {
    auto found = awaiting_disk_.find(token);
    if (found == awaiting_disk_.end()) continue;
    auto batch = std::move(found->second);
    awaiting_disk_.erase(found);
    if (batch->claim_token != 0) {
      settle_stored(*batch, done);
      conclude(std::move(batch));
      continue;
    }
    if (batch->published && done.ok) await_sinks(*batch);
    for (auto& r : batch->requests) {
      if (r.answered) {
        if (!done.ok) parts_.metrics.received_lost.add(r.count);
        continue;
      }
      if (done.ok)
        answer_accepted(*batch, r);
      else
        answer_failed(r, done.why);
    }
    count_usage(*batch, done.ok);
    release(std::move(batch));
  }
}

void front_end::check_verdict_timeouts() {
  auto oldest = parts_.loop.now_ns() - parts_.verdict_timeout_ms.count() * 1'000'000;
  drop_late_questions(oldest);
  std::vector<std::uint64_t> late;
  for (auto& [token, batch] : awaiting_verdict_)
    if (batch->sent_ns < oldest && destinations_[batch->destination].member != parts_.self_member)
      late.push_back(token);
  for (auto token : late) {
    auto batch = std::move(awaiting_verdict_[token]);
    awaiting_verdict_.erase(token);
    fall_back(std::move(batch));
  }
}

} // namespace penstock
