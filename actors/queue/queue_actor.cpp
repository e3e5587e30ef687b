#include "actors/queue/queue_actor.hpp"

#include "actors/base/fail_fast.hpp"
#include "actors/base/lifecycle_messages.hpp"
#include "storage/base/assert.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <memory>
#include <utility>

namespace penstock {

queue_actor_state::queue_actor_state(self_ptr self)
    : context_{self}, streams_(context_), reader_(context_), consumers_(context_),
      acks_(context_, streams_), expiry_(context_, reader_, acks_),
      unnamed_(context_, streams_, reader_, acks_) {}

void queue_actor_state::start(queue_parts parts) {
  context_.start(std::move(parts));
  streams_.start();
  context_.parts.saved.clear();
  context_.self->send(context_.self, upkeep_tick{});
}

// -- reading --------------------------------------------------------------------------------------

void queue_actor_state::on_fetched(const fetch_reply& reply) {
  auto* const of = streams_.find(reply.stream);
  if (!of) return; // it was let go; what came since is found by the upkeep
  if (reader_.take(*of, reply)) consumers_.serve(*of);
  reader_.pump(*of);
}

// -- receiving ------------------------------------------------------------------------------------

void queue_actor_state::on_receive(queue_receive request, caf::response_promise promise) {
  if (const auto feeds = streams_.check_feeds(request.stream); !feeds)
    return promise.deliver(refuse_receive(feeds.error()));
  const auto found = streams_.find_or_add(request.stream);
  if (!found) return promise.deliver(refuse_receive(found.error()));
  auto& of = **found;
  const auto now_ms = context_.now_ms();
  of.used_ms = of.asked_ms = now_ms;
  of.wanted = true;
  of.state.expire(now_ms);
  if (request.wait_ms <= 0 || of.is_behind()) reader_.read_if_empty(of);
  if (of.state.has_ready() || request.wait_ms <= 0) {
    promise.deliver(consumers_.deliver(of, request));
    return reader_.pump(of);
  }
  if (!consumers_.wait(of, std::move(request), std::move(promise))) return;
  reader_.pump(of);
  consumers_.plan_wake(of);
}

void queue_actor_state::on_stop_waiting(const queue_stop_waiting& request) {
  auto* const of = streams_.find(request.stream);
  if (of && request.wait_id != 0) consumers_.end_named(*of, request.wait_id);
}

// -- receipts -------------------------------------------------------------------------------------

void queue_actor_state::on_receipts(const queue_receipts& request, caf::response_promise promise) {
  queue_receipts_done out;
  if (const auto feeds = streams_.check_feeds(request.stream); !feeds) {
    out.ok = false;
    out.why = feeds.error();
    return promise.deliver(std::move(out));
  }
  auto* const of = streams_.find_with_events(request.stream);
  if (!of) {
    out.stale = request.receipts.size();
    context_.parts.metrics->stale.add(out.stale);
    return promise.deliver(std::move(out));
  }
  out = settle(*of, request);
  if (request.accept && out.done > 0) {
    acks_.add(*of, std::move(promise), std::move(out));
    acks_.save_if_due();
  } else {
    promise.deliver(std::move(out));
  }
  consumers_.serve(*of);
  reader_.pump(*of);
}

queue_receipts_done queue_actor_state::settle(queue_stream& of, const queue_receipts& request) {
  queue_receipts_done out;
  of.used_ms = context_.now_ms();
  const auto position = of.state.position();
  bool acked_unread = false;
  for (const auto& ticket : request.receipts) {
    const auto outcome = request.accept ? of.state.ack(ticket) : of.state.nack(ticket);
    ++(outcome == receipt_outcome::done ? out.done : out.stale);
    const bool counts = request.accept && outcome == receipt_outcome::done;
    acked_unread = acked_unread || (counts && ticket.seq > position);
  }
  if (acked_unread) of.unread.count_anew();
  of.acked_since = of.acked_since || out.done > 0;
  auto& metrics = *context_.parts.metrics;
  metrics.stale.add(out.stale);
  (request.accept ? metrics.acked : metrics.nacked).add(out.done);
  return out;
}

// -- replay and statistics ------------------------------------------------------------------------

queue_delivery_ptr queue_actor_state::on_replay(const queue_replay& request) {
  if (const auto feeds = streams_.check_feeds(request.stream); !feeds)
    return refuse_receive(feeds.error());
  auto after = request.from_seq == 0 ? 0 : request.from_seq - 1;
  if (request.from_time_ms) {
    const auto before =
        context_.parts.replay->seq_before_time(request.stream, *request.from_time_ms);
    if (!before) return refuse_receive(before.error());
    after = *before;
  }
  const auto max_bytes = std::min(request.max_bytes, max_receive_bytes);
  const auto blocks = context_.parts.replay->read(request.stream, after, max_bytes);
  if (!blocks) return refuse_receive(blocks.error());
  auto out = std::make_shared<queue_delivery>();
  const auto max = std::min(request.max, max_receive_messages);
  out->next_seq = after + 1;
  std::size_t bytes = 0;
  for (const auto& block : *blocks)
    for (std::size_t i = 0; i < block->size() && out->messages.size() < max && bytes < max_bytes;
         ++i)
      if (block->first_seq + i >= out->next_seq) { // rows may overlap on a restored disk
        bytes += block->body(i).size();
        out->messages.push_back({block, static_cast<std::uint32_t>(i), {}, false});
        out->next_seq = block->first_seq + i + 1;
      }
  return out;
}

queue_stats_reply queue_actor_state::on_stats(const queue_stats_request& request) {
  queue_stats_reply out;
  if (const auto feeds = streams_.check_feeds(request.stream); !feeds) {
    out.ok = false;
    out.why = feeds.error();
    return out;
  }
  auto* const found = streams_.find_with_events(request.stream);
  if (!found) {
    out.stats.stream = request.stream;
    return out;
  }
  auto& of = *found;
  of.state.expire(context_.now_ms());
  const auto at = context_.parts.catalog->snapshot();
  reader_.look_ahead(of, at.durable_seq, newest_of(at.segments));
  reader_.refresh_unread(of);
  out.stats = of.stats(context_.parts.wall_ms());
  return out;
}

// -- time -----------------------------------------------------------------------------------------

void queue_actor_state::on_wake(const wake_up& wake) {
  if (!context_.is_awake(wake)) return;
  const auto now_ms = context_.now_ms();
  for (auto& [key, of] : streams_)
    if (!of.waiters.empty()) {
      consumers_.serve(of);
      consumers_.end_late(of, now_ms);
      consumers_.plan_wake(of);
    }
  acks_.save_if_due();
}

void queue_actor_state::on_upkeep() {
  const auto& parts = context_.parts;
  streams_.note_moves();
  const auto [segments, durable] = parts.catalog->snapshot();
  const auto newest = newest_of(segments);
  streams_.find_new(newest);
  std::vector<queue_stats> all;
  for (auto& [key, of] : streams_) {
    of.read_failed = false;
    of.state.expire(context_.now_ms());
    reader_.rest_if_idle(of);
    reader_.look_ahead(of, durable, newest);
    reader_.refresh_unread(of);
    expiry_.expire_old(of);
    unnamed_.send(of);
    all.push_back(of.stats(parts.wall_ms()));
    if (of.is_behind() && !of.waiters.empty()) reader_.read_segments(of);
    consumers_.serve(of);
    reader_.pump(of);
  }
  tell_journal(all);
  streams_.forget_idle(durable, newest);
  acks_.tell_keeper(durable);
  parts.metrics->publish(std::move(all));
  // An open segment can't be retired.
  parts.reader->release();
  parts.replay->release();
  acks_.save_if_due();
  // Also when nothing is saved: the disk may have got room meanwhile, and fill again.
  parts.cursors->restore_reserve();
  context_.self->delayed_send(context_.self, queue_upkeep_interval, upkeep_tick{});
}

/// What a stream may hold is the journal's to know. `all`: of all streams, in their order.
void queue_actor_state::tell_journal(const std::vector<queue_stats>& all) const {
  auto told = std::make_shared<sink_backlog>();
  told->sink = context_.parts.sink;
  told->streams.reserve(all.size());
  auto one = all.begin();
  for (const auto& [key, of] : streams_) {
    PENSTOCK_ASSERT(one != all.end() && one->stream == key);
    told->streams.push_back(
        {key, {one->depth, one->bytes}, one->oldest_ms, of.unread.appended(), of.is_stuck});
    ++one;
  }
  context_.self->send(context_.parts.journal, sink_backlog_ptr{std::move(told)});
}

// -- the end --------------------------------------------------------------------------------------

void queue_actor_state::on_drain() {
  for (auto& [key, of] : streams_)
    consumers_.end_all(of);
  if (acks_.is_dirty()) acks_.save();
  if (acks_.is_dirty())
    spdlog::error("queue: the last acknowledgements could not be saved; their events will come "
                  "again, with the same ids");
  context_.self->quit();
}

queue_self::behavior_type queue_actor(queue_self::stateful_pointer<queue_actor_state> self,
                                      queue_parts parts) {
  end_process_on_exception(self);
  self->state.start(std::move(parts));
  return {
      [self](queue_receive& request) -> caf::result<queue_delivery_ptr> {
        self->state.on_receive(std::move(request), self->make_response_promise());
        return caf::delegated<queue_delivery_ptr>{};
      },
      [self](const queue_receipts& request) -> caf::result<queue_receipts_done> {
        self->state.on_receipts(request, self->make_response_promise());
        return caf::delegated<queue_receipts_done>{};
      },
      [self](const queue_replay& request) { return self->state.on_replay(request); },
      [self](const queue_stats_request& request) { return self->state.on_stats(request); },
      [self](const queue_stop_waiting& request) { self->state.on_stop_waiting(request); },
      [self](const fetch_reply& reply) { self->state.on_fetched(reply); },
      [self](const wake_up& wake) { self->state.on_wake(wake); },
      [self](const space_rules_changed& update) { self->state.change_rules(update.rule_of); },
      [self](const upkeep_tick&) { self->state.on_upkeep(); },
      [self](const drain&) {
        self->state.on_drain();
        return drained{};
      },
  };
}

} // namespace penstock
