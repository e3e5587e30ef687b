#include "net/ingest/journal_client.hpp"

#include "actors/streams/stream_settings.hpp"
#include "storage/base/assert.hpp"

#include <utility>

namespace penstock {

void journal_client::append(std::unique_ptr<turn_batch> batch) {
  auto append = std::make_shared<append_batch>();
  append->front_end = lane_.address();
  append->token = batch->token = lane_.take_token();
  for (auto& b : batch->blocks) {
    if (b->empty()) continue;
    append->events += b->size();
    rules_.streams().use(b->stream);
    append->blocks.push_back(b);
  }
  draw_tickets(*append);
  append->urgent = false;
  for (auto& r : batch->requests)
    append->urgent = append->urgent || (r.count > 0 && r.ack != ack_level::received);
  lane_.metrics.events.add(append->events);
  hand_over(std::move(append));
  for (auto& r : batch->requests)
    if (r.count > 0 && r.ack == ack_level::received) responder_.answer_accepted(*batch, r);
  auto token = batch->token;
  awaiting_disk_.emplace(token, std::move(batch));
}

// Nothing may come between drawing the tickets and sending: the journal waits for gaps to fill.
void journal_client::draw_tickets(append_batch& append) {
  append.first_ticket = lane_.node.next_ticket.fetch_add(append.events, std::memory_order_relaxed);
  auto seq = append.first_ticket;
  for (auto& b : append.blocks) {
    b->first_seq = seq;
    seq += b->size();
  }
  PENSTOCK_ASSERT(append.events > 0 && seq == append.first_ticket + append.events);
}

// What a client waits for goes at once; what was answered already waits a little for company, so
// that the journal's thread is not woken for every turn. Tickets of both are drawn in the order of
// the requests, so a held batch also holds back later ones of other front ends: hence so briefly.
void journal_client::hand_over(append_batch_ptr append) {
  bool urgent = append->urgent;
  if (held_.empty()) held_until_ns_ = lane_.loop.now_ns() + max_hold_ns;
  held_events_ += append->events;
  held_.push_back(std::move(append));
  if (urgent || held_events_ >= max_held_events)
    send_held();
  else
    lane_.loop.wake_at(held_until_ns_);
}

void journal_client::send_held() {
  lane_.metrics.journal_messages.add(held_.size());
  for (auto& append : held_)
    lane_.self->send(journal_, std::move(append));
  held_.clear();
  held_events_ = 0;
}

void journal_client::on_durable(const append_done& done) {
  lane_.loop.refresh_now();
  for (auto token : done.tokens) {
    auto found = awaiting_disk_.find(token);
    if (found == awaiting_disk_.end()) continue;
    auto batch = std::move(found->second);
    awaiting_disk_.erase(found);
    conclude(std::move(batch), done);
  }
}

void journal_client::conclude(std::unique_ptr<turn_batch> batch, const append_done& done) {
  for (auto& r : batch->requests)
    rules_.settle_name(r, done.ok);
  if (batch->claim_token != 0) {
    claims_.settle_stored(*batch, done);
    return claims_.conclude(std::move(batch));
  }
  if (batch->published && done.ok) waits_.await_sinks(*batch);
  for (auto& r : batch->requests) {
    if (r.answered) {
      if (!done.ok) lane_.metrics.received_lost.add(r.count);
      continue;
    }
    if (done.ok)
      responder_.answer_accepted(*batch, r);
    else
      responder_.answer_failed(r, done.why);
  }
  usage_.count(*batch, done.ok);
  pool_.release(std::move(batch));
}

void journal_client::end_turn() {
  if (!held_.empty() && lane_.loop.now_ns() >= held_until_ns_) send_held();
  // An earlier wish of another's replaced it.
  if (!held_.empty()) lane_.loop.wake_at(held_until_ns_);
}

} // namespace penstock
