#include "actors/queue/queue_actor.hpp"

#include "actors/base/fail_fast.hpp"
#include "actors/base/lifecycle_messages.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace penstock {

namespace {

queue_delivery_ptr refuse(error why) {
  auto out = std::make_shared<queue_delivery>();
  out->ok = false;
  out->why = std::move(why);
  return out;
}

} // namespace

std::int64_t queue_actor_state::now_ms() const {
  const auto since = self_->clock().now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
}

void queue_actor_state::start(queue_parts parts) {
  parts_ = std::move(parts);
  limits_.max_in_flight = parts_.settings.max_in_flight;
  // Lease numbers of one life of the node lie above those of the lives before it.
  first_lease_ = static_cast<std::uint64_t>(parts_.wall_ms()) << 20;
  recovered_seq_ = parts_.catalog->durable_seq();
  const auto newest = newest_of(parts_.catalog->list());
  for (const auto& saved : parts_.saved)
    if (saved.sink != parts_.sink)
      continue;
    else if (newest.contains(saved.stream))
      add_stream(saved);
    else
      gone_.add(saved.stream);
  parts_.saved.clear();
  self_->send(self_, upkeep_tick{});
}

// -- streams --------------------------------------------------------------------------------------

queue_actor_state::stream& queue_actor_state::add_stream(cursor saved) {
  saved.seq = std::max(saved.seq, settled_.take(saved.stream));
  const auto [at, is_new] = streams_.try_emplace(saved.stream, saved, limits_, first_lease_,
                                                 recovered_seq_, budget_share{parts_.budget});
  at->second.used_ms = now_ms();
  return at->second;
}

bool queue_actor_state::is_configured(const std::string& wanted) const {
  return parts_.is_configured && parts_.is_configured(wanted);
}

result<void> queue_actor_state::check_feeds(const std::string& wanted) const {
  if (streams_.contains(wanted) || parts_.feeds(wanted)) return {};
  return error{errc::not_found, "the stream '" + wanted + "' does not feed the queue '" +
                                    parts_.sink + "': see the stream's sinks"};
}

// Null: there is nothing of it.
queue_actor_state::stream* queue_actor_state::find(const std::string& wanted) {
  if (const auto at = streams_.find(wanted); at != streams_.end()) return &at->second;
  if (parts_.catalog->events_of(wanted) == 0) return nullptr;
  return &add_stream({wanted, parts_.sink, 0, {}});
}

// The bound is on those that only consumers know: what is configured or has events is served.
result<queue_actor_state::stream*> queue_actor_state::find_or_add(const std::string& wanted) {
  if (auto* const found = find(wanted)) return found;
  if (streams_.size() >= max_queue_streams && !is_configured(wanted))
    return error{errc::unavailable, "the queue knows " + std::to_string(max_queue_streams) +
                                        " streams already, as many as it may; this one has no "
                                        "event yet, and is not configured"};
  return &add_stream({wanted, parts_.sink, 0, {}});
}

// -- reading --------------------------------------------------------------------------------------

void queue_actor_state::pump(stream& of) {
  if (!of.wanted || of.fetching || of.read_failed || !of.state.wants_blocks()) return;
  of.fetching = true;
  of.fetch_from = of.state.position();
  self_->send(parts_.journal, fetch_request{of.name, of.fetch_from});
}

void queue_actor_state::add_blocks(stream& of, const std::vector<const_block_ptr>& blocks) {
  refresh_unread(of);
  const auto taken = of.state.add(blocks);
  of.unread -= taken;
}

void queue_actor_state::read_segments(stream& of, std::size_t max_bytes) {
  // Taken before the read: what becomes durable meanwhile must not be passed over.
  const auto durable = parts_.catalog->durable_seq();
  std::vector<std::string> damage;
  const auto blocks = parts_.reader->read(of.name, of.state.position(), max_bytes, &damage);
  for (const auto& sentence : damage)
    spdlog::warn("queue: {}", sentence);
  if (!damage.empty()) of.counted = false; // what can't be read was counted
  if (!blocks) {
    of.read_failed = true;
    spdlog::error("queue: reading stream '{}' failed, trying again: {}", of.name,
                  blocks.error().message);
    return;
  }
  if (blocks->empty())
    of.state.pass_over(durable);
  else
    add_blocks(of, *blocks);
}

void queue_actor_state::on_fetched(const fetch_reply& reply) {
  const auto at = streams_.find(reply.stream);
  if (at == streams_.end()) return; // it was let go; what came since is found by the upkeep
  auto& of = at->second;
  if (of.is_behind()) {
    of.fetching = false;
    pump(of);
    return;
  }
  of.fetching = false;
  // The journal answers without events when another reader lets the stream go.
  if (reply.read_segments || !reply.blocks.empty()) of.used_ms = now_ms();
  if (reply.read_segments)
    read_segments(of, of.state.read_bytes(queue_read_bytes));
  else
    add_blocks(of, reply.blocks);
  serve(of);
  pump(of);
}

// -- receiving ------------------------------------------------------------------------------------

void queue_actor_state::on_receive(queue_receive request, caf::response_promise promise) {
  if (const auto feeds = check_feeds(request.stream); !feeds) {
    promise.deliver(refuse(feeds.error()));
    return;
  }
  const auto found = find_or_add(request.stream);
  if (!found) {
    promise.deliver(refuse(found.error()));
    return;
  }
  auto& of = **found;
  of.used_ms = now_ms();
  of.wanted = true;
  of.asked_ms = now_ms();
  of.state.expire(now_ms());
  const bool empty_handed = !of.state.has_ready();
  if (empty_handed && (request.wait_ms <= 0 || of.is_behind()) && of.state.wants_blocks() &&
      parts_.catalog->durable_seq() > of.state.position())
    read_segments(of, of.state.read_bytes(queue_read_bytes));
  if (of.state.has_ready() || request.wait_ms <= 0) {
    promise.deliver(deliver(of, request));
    pump(of);
    return;
  }
  if (waiters_ >= max_queue_waiters) {
    promise.deliver(refuse({errc::unavailable, std::to_string(max_queue_waiters) +
                                                   " consumers wait already, as many as may"}));
    return;
  }
  const auto wait = std::min(request.wait_ms, max_receive_wait_ms);
  of.waiters.push_back({std::move(request), std::move(promise), now_ms() + wait});
  parts_.metrics->waiters.set(static_cast<std::int64_t>(++waiters_));
  pump(of);
  plan_wake(of);
}

queue_delivery_ptr queue_actor_state::deliver(stream& of, const queue_receive& request) {
  auto out = std::make_shared<queue_delivery>();
  const auto lease = request.lease_ms > 0 ? std::min(request.lease_ms, max_lease_ms)
                                          : parts_.settings.default_lease_ms.count();
  const auto max = std::min(request.max, max_receive_messages);
  out->messages = of.state.receive(max, std::min(request.max_bytes, max_receive_bytes), lease, now_ms());
  const auto repeats = std::count_if(out->messages.begin(), out->messages.end(),
                                     [](const queued_message& m) { return m.repeat; });
  parts_.metrics->delivered.add(out->messages.size());
  parts_.metrics->redelivered.add(static_cast<std::uint64_t>(repeats));
  return out;
}

void queue_actor_state::serve(stream& of) {
  of.state.expire(now_ms());
  while (!of.waiters.empty() && of.state.has_ready()) {
    auto next = std::move(of.waiters.front());
    of.waiters.pop_front();
    --waiters_;
    next.promise.deliver(deliver(of, next.request));
  }
  parts_.metrics->waiters.set(static_cast<std::int64_t>(waiters_));
  plan_wake(of);
}

void queue_actor_state::end_waits(stream& of, std::int64_t now) {
  end_waits_if(of, [now](const waiter& w) { return w.deadline_ms <= now; });
}

void queue_actor_state::on_stop_waiting(const queue_stop_waiting& request) {
  const auto at = streams_.find(request.stream);
  if (at == streams_.end() || request.wait_id == 0) return;
  end_waits_if(at->second, [&](const waiter& w) { return w.request.wait_id == request.wait_id; });
}

template <class Predicate>
void queue_actor_state::end_waits_if(stream& of, Predicate ends) {
  const auto over = std::stable_partition(of.waiters.begin(), of.waiters.end(),
                                          [&](const waiter& w) { return !ends(w); });
  for (auto at = over; at != of.waiters.end(); ++at) {
    at->promise.deliver(queue_delivery_ptr{std::make_shared<queue_delivery>()});
    --waiters_;
  }
  of.waiters.erase(over, of.waiters.end());
  parts_.metrics->waiters.set(static_cast<std::int64_t>(waiters_));
}

// -- receipts -------------------------------------------------------------------------------------

void queue_actor_state::on_receipts(const queue_receipts& request, caf::response_promise promise) {
  queue_receipts_done out;
  if (const auto feeds = check_feeds(request.stream); !feeds) {
    out.ok = false;
    out.why = feeds.error();
    promise.deliver(std::move(out));
    return;
  }
  auto* const found = find(request.stream);
  if (!found) {
    out.stale = request.receipts.size();
    parts_.metrics->stale.add(out.stale);
    promise.deliver(std::move(out));
    return;
  }
  auto& of = *found;
  of.used_ms = now_ms();
  const auto position = of.state.position();
  bool acked_unread = false;
  for (const auto& ticket : request.receipts) {
    const auto outcome = request.accept ? of.state.ack(ticket) : of.state.nack(ticket);
    ++(outcome == receipt_outcome::done ? out.done : out.stale);
    const bool counts = request.accept && outcome == receipt_outcome::done;
    acked_unread = acked_unread || (counts && ticket.seq > position);
  }
  if (acked_unread) of.counted = false;
  of.acked_since = of.acked_since || out.done > 0;
  parts_.metrics->stale.add(out.stale);
  (request.accept ? parts_.metrics->acked : parts_.metrics->nacked).add(out.done);
  if (request.accept && out.done > 0) {
    of.dirty = dirty_ = true;
    unsaved_receipts_ += out.done;
    unsaved_.push_back({std::move(promise), std::move(out)});
    save_if_due();
  } else {
    promise.deliver(std::move(out));
  }
  serve(of);
  pump(of);
}

// -- replay and statistics ------------------------------------------------------------------------

queue_delivery_ptr queue_actor_state::on_replay(const queue_replay& request) {
  if (const auto feeds = check_feeds(request.stream); !feeds) return refuse(feeds.error());
  auto after = request.from_seq == 0 ? 0 : request.from_seq - 1;
  if (request.from_time_ms) {
    const auto before = parts_.replay->seq_before_time(request.stream, *request.from_time_ms);
    if (!before) return refuse(before.error());
    after = *before;
  }
  const auto max_bytes = std::min(request.max_bytes, max_receive_bytes);
  const auto blocks = parts_.replay->read(request.stream, after, max_bytes);
  if (!blocks) return refuse(blocks.error());
  auto out = std::make_shared<queue_delivery>();
  const auto max = std::min(request.max, max_receive_messages);
  out->next_seq = after + 1;
  std::size_t bytes = 0;
  for (const auto& block : *blocks)
    for (std::size_t i = 0;
         i < block->size() && out->messages.size() < max && bytes < max_bytes; ++i)
      if (block->first_seq + i > after) {
        bytes += block->body(i).size();
        out->messages.push_back({block, static_cast<std::uint32_t>(i), {}, false});
        out->next_seq = block->first_seq + i + 1;
      }
  return out;
}

queue_stats_reply queue_actor_state::on_stats(const queue_stats_request& request) {
  queue_stats_reply out;
  if (const auto feeds = check_feeds(request.stream); !feeds) {
    out.ok = false;
    out.why = feeds.error();
    return out;
  }
  auto* const found = find(request.stream);
  if (!found) {
    out.stats.stream = request.stream;
    return out;
  }
  auto& of = *found;
  of.state.expire(now_ms());
  const auto at = parts_.catalog->snapshot();
  look_ahead(of, at.durable_seq, newest_of(at.segments));
  refresh_unread(of);
  out.stats = stats_of(of);
  return out;
}

// -- time -----------------------------------------------------------------------------------------

void queue_actor_state::wake_at(std::int64_t at_ms) {
  if (wake_at_ms_ != 0 && wake_at_ms_ <= at_ms) return;
  wake_at_ms_ = at_ms;
  const auto delay = std::chrono::milliseconds{std::max<std::int64_t>(0, at_ms - now_ms())};
  self_->delayed_send(self_, delay, wake_up{at_ms});
}

void queue_actor_state::plan_wake(const stream& of) {
  if (of.waiters.empty()) return;
  for (const auto& w : of.waiters)
    wake_at(w.deadline_ms);
  if (const auto expiry = of.state.next_expiry_ms()) wake_at(*expiry);
}

void queue_actor_state::on_wake(const wake_up& wake) {
  if (wake.at_ms != wake_at_ms_)
    return; // an earlier one was planned since, and planned this one again
  wake_at_ms_ = 0;
  const auto now = now_ms();
  for (auto& [key, of] : streams_)
    if (!of.waiters.empty()) {
      serve(of);
      end_waits(of, now);
      plan_wake(of);
    }
  save_if_due();
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
      [self](const space_rules_changed& news) { self->state.change_rules(news.rule_of); },
      [self](const upkeep_tick&) { self->state.on_upkeep(); },
      [self](const drain&) {
        self->state.on_drain();
        return drained{};
      },
  };
}

} // namespace penstock
