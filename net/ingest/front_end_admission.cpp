// From the turn's batches to the limiters, and from their verdicts to the journal.
#include "actors/base/shards.hpp"
#include "actors/cluster/link_messages.hpp"
#include "actors/cluster/placement.hpp"
#include "actors/journal/journal_messages.hpp"
#include "actors/limits/limit_messages.hpp"
#include "actors/streams/stream_settings.hpp"
#include "net/ingest/front_end.hpp"

namespace penstock {

namespace {

constexpr std::int64_t max_hold_ns = 2'000'000;
constexpr std::size_t max_held_events = 512;

} // namespace

// Two batches for each limiter: of clients that this node counts, which are decided at once, and of
// those for which the limiter may have to ask another node. The latter must not hold up the former.
void front_end::place_destinations() {
  if (!destinations_.empty()) return;
  for (auto& limiter : parts_.limiters)
    for (bool foreign : {false, true})
      destinations_.push_back({limiter, foreign, nullptr});
  set_placement(parts_.places);
}

void front_end::set_placement(const placement_ptr& places) {
  places_ = places;
  destination_of_.resize(shard_count);
  for (std::uint32_t shard = 0; shard < shard_count; ++shard) {
    const bool foreign = places_ && places_->shards[shard].owner != parts_.self_member;
    destination_of_[shard] =
        static_cast<std::uint16_t>(2 * (shard % parts_.limiters.size()) + foreign);
  }
}

void front_end::on_peer_up(const peer_up& news) {
  if (peer_front_ends_.size() <= news.member) peer_front_ends_.resize(news.member + 1u);
  peer_front_ends_[news.member] = news.front_ends;
  if (is_linked(news.member)) send_unsent_forwards(news.member);
}

void front_end::on_peer_down(const peer_down& news) {
  if (news.member < peer_front_ends_.size()) peer_front_ends_[news.member].clear();
  std::vector<std::uint64_t> claimed;
  for (auto& [token, one] : claimed_)
    claimed.push_back(token);
  for (auto token : claimed)
    give_up_claims(token, news.member);
}

void front_end::ask_limiters() {
  for (std::size_t i = 0; i < destinations_.size(); ++i) {
    if (destinations_[i].open) admit(std::move(destinations_[i].open));
  }
}

void front_end::admit(std::unique_ptr<turn_batch> batch) {
  if (batch->limited) return ask(std::move(batch));
  for (std::size_t r = 0; r < batch->requests.size(); ++r)
    batch->requests[r].state.granted = batch->items[r].events;
  apply(std::move(batch));
}

void front_end::ask(std::unique_ptr<turn_batch> batch) {
  batch->token = next_token_++;
  parts_.metrics.limiter_messages.add();
  self_->send(destinations_[batch->destination].limiter,
              admit_request{batch->token, batch->items, batch->sizes});
  for (std::size_t r = 0; r < batch->requests.size(); ++r)
    batch->requests[r].position = static_cast<std::uint32_t>(r);
  auto token = batch->token;
  awaiting_verdict_.emplace(token, std::move(batch));
}

// Takes verdicts as they come. Requests whose verdict is here don't wait for the others.
void front_end::on_verdicts(const admit_reply& reply) {
  auto found = awaiting_verdict_.find(reply.token);
  if (found == awaiting_verdict_.end()) return;
  auto& batch = *found->second;
  std::vector<bool> decided(batch.requests.size(), false);
  std::size_t count = 0;
  for (std::size_t i = 0; i < reply.verdicts.size(); ++i) {
    if (reply.verdicts[i].reason == verdict::pending) continue;
    auto position = reply.positions.empty() ? static_cast<std::uint32_t>(i) : reply.positions[i];
    // Requests stay in the order of their positions.
    auto r = std::lower_bound(batch.requests.begin(), batch.requests.end(), position,
                              [](auto& each, auto wanted) { return each.position < wanted; });
    if (r == batch.requests.end() || r->position != position) continue;
    take_verdict(*r, reply.verdicts[i]);
    decided[static_cast<std::size_t>(r - batch.requests.begin())] = true;
    ++count;
  }
  if (count == 0) return;
  if (count < batch.requests.size()) {
    auto part = new_batch(batch.destination);
    move_requests(batch, decided, *part);
    return apply(std::move(part));
  }
  auto whole = std::move(found->second);
  awaiting_verdict_.erase(found);
  apply(std::move(whole));
}

// The plan may have changed since the request was let in, or not yet where its verdict is from:
// the answer tells of the one that decided.
void front_end::take_verdict(waiting_request& r, const verdict& state) {
  r.state = state;
  if (state.plan_digest == 0 || state.plan_digest == r.plan->digest) return;
  auto& known = plans_before_ ? *plans_before_ : *plans_; // its batch keeps it alive, too
  if (const auto* plan = known.find_as(r.plan->charges.plan(), state.plan_digest)) r.plan = plan;
}

void front_end::tell_verdicts(const turn_batch& batch) {
  verdicts_told_.tell([&batch](const stream_filter&) {
    feed<turn_verdicts>::news news;
    for (const auto& r : batch.requests)
      news.content.requests.push_back(
          {r.plan->charges.plan(), r.count, std::min(r.state.granted, r.count), r.state.reason});
    news.count = news.content.requests.size();
    news.bytes = news.count * sizeof(turn_verdicts::one);
    return news;
  });
}

void front_end::apply(std::unique_ptr<turn_batch> batch) {
  if (!verdicts_told_.empty()) tell_verdicts(*batch);
  bool dropped = false;
  std::size_t granted = 0;
  for (auto& r : batch->requests) {
    auto grant = std::min(r.state.granted, r.count);
    dropped = dropped || grant < r.count;
    granted += grant;
  }
  if (dropped) drop_refused(*batch);
  for (std::size_t i = 0; i < batch->requests.size(); ++i) {
    auto& r = batch->requests[i];
    r.count = std::min(r.state.granted, r.count);
    if (r.count > 0) continue;
    const bool is_new = r.name_place != stream_names::no_place;
    settle_name(r, false);
    if (batch->claim_token != 0) continue;
    // Usage remembers no name that only refused requests brought.
    if (is_new) batch->usage.forget(i, usage_dimension::stream);
    answer_not_taken(r, batch->details_of(r));
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
    streams_.use(b->stream);
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
    for (auto& r : batch->requests)
      settle_name(r, done.ok);
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

} // namespace penstock
