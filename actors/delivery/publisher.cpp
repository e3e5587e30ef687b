#include "actors/delivery/publisher.hpp"

#include "actors/base/fail_fast.hpp"
#include "actors/base/lifecycle_messages.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace penstock {

std::int64_t publisher_state::now_ms() const {
  const auto since = self_->clock().now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
}

void publisher_state::start(publisher_parts parts) {
  parts_ = std::move(parts);
  rules_ = rules_for(parts_.settings, parts_.traits, parts_.max_batch_bytes);
  breaker_ = sink_breaker{rules_.retry_min_ms, rules_.retry_max_ms};
  for (auto& worker : parts_.lanes)
    lanes_.emplace_back().worker = worker;
  const auto newest = newest_of(parts_.catalog->list());
  std::erase_if(parts_.saved, [&](const cursor& saved) {
    if (newest.contains(saved.stream)) return false;
    gone_.add(saved.stream);
    return true;
  });
  for (const auto& [key, last] : newest)
    on_stream_seen(key);
  self_->send(parts_.journal, watch_streams{});
  self_->send(self_, upkeep_tick{});
}

// -- streams --------------------------------------------------------------------------------------

// As many as the journal has events of, which the places for names bound, and what was configured:
// one that was left out here would be taken for delivered.
publisher_state::stream* publisher_state::find(const std::string& wanted) {
  if (const auto at = streams_.find(wanted); at != streams_.end()) return &at->second;
  if (!parts_.feeds(wanted)) return nullptr;
  const auto lanes = static_cast<std::uint32_t>(lanes_.size());
  stream_feed feed{wanted, delivered_before{parts_.saved, parts_.sink, wanted}, lanes, rules_,
                   budget_share{parts_.budget}};
  feed.limit(max_held_feed_bytes); // until the sink has taken one
  feed.pass_over(settled_.take(wanted));
  auto& added = streams_.try_emplace(wanted, std::move(feed), lanes, hold_rules()).first->second;
  added.used_ms = now_ms();
  return &added;
}

void publisher_state::on_stream_seen(const std::string& seen) {
  if (auto* of = find(seen)) pump(*of);
}

// -- reading --------------------------------------------------------------------------------------

// While the sink, or the stream's target, takes nothing, what there is to probe it with is enough:
// its publisher is not woken by what comes in, and holds no memory for it.
bool publisher_state::is_resting(const stream& of) const {
  const bool is_dying = of.hold.is_lapsed() && of.feed.position() < of.condemned_to;
  const bool waits = breaker_.is_open() || (of.hold.is_held() && !is_dying);
  return waits && of.feed.open_events() > 0;
}

std::size_t publisher_state::most_to_read(const stream& of) const {
  return of.hold.is_held() ? max_held_feed_bytes : publisher_read_bytes;
}

void publisher_state::pump(stream& of) {
  if (of.read_failed || draining_ || !of.feed.wants_blocks() || is_resting(of)) return;
  // A fetch that is under way follows what the feed has let go of since.
  if (of.fetching && of.feed.position() < of.fetch_after)
    return read_segments(of, of.feed.read_bytes(most_to_read(of)));
  if (of.fetching) return;
  of.fetching = true;
  of.fetch_after = of.feed.position();
  self_->send(parts_.journal, fetch_request{of.feed.stream(), of.fetch_after});
}

void publisher_state::add_blocks(stream& of, const std::vector<const_block_ptr>& blocks) {
  refresh_unread(of);
  of.unread -= of.feed.add(blocks, now_ms());
  for (std::uint32_t i = 0; i < of.feed.lanes(); ++i)
    enqueue(i, {&of, nullptr});
  condemn(of);
}

void publisher_state::read_segments(stream& of, std::size_t max_bytes) {
  std::vector<std::string> damage;
  const auto before = of.feed.position();
  // Taken before the read: what becomes durable meanwhile must not be passed over.
  const auto durable = parts_.catalog->durable_seq();
  const auto blocks = parts_.reader->read(of.feed.stream(), before, max_bytes, &damage);
  for (const auto& sentence : damage)
    spdlog::warn("sink {}: {}", parts_.sink, sentence);
  if (!damage.empty()) of.counted = false; // what can't be read was counted
  if (!blocks) {
    of.read_failed = true;
    spdlog::error("sink {}: reading stream '{}' failed, trying again: {}", parts_.sink,
                  of.feed.stream(), blocks.error().message);
    return;
  }
  if (blocks->empty())
    of.feed.pass_over(durable);
  else
    add_blocks(of, *blocks);
}

void publisher_state::on_fetched(const fetch_reply& reply) {
  const auto at = streams_.find(reply.stream);
  if (at == streams_.end()) return; // it was let go; what came since is found by the upkeep
  auto& of = at->second;
  of.fetching = false;
  // The journal answers without events when another reader lets the stream go.
  if (reply.read_segments || !reply.blocks.empty()) of.used_ms = now_ms();
  if (draining_) return;
  if (reply.read_segments)
    read_segments(of, of.feed.read_bytes(most_to_read(of)));
  else if (of.feed.position() >= of.fetch_after) // otherwise there would be a gap
    add_blocks(of, reply.blocks);
  dispatch();
  pump(of);
}

// -- sending --------------------------------------------------------------------------------------

lane_feed& publisher_state::feed_of(const source& from, std::uint32_t lane_number) {
  return from.of ? from.of->feed.lane(lane_number) : from.job->lanes[lane_number];
}

void publisher_state::enqueue(std::uint32_t lane_number, const source& from) {
  auto& queue = lanes_[lane_number].queue;
  if (from.of && from.of->hold.is_held()) return queue_probe(*from.of);
  if (!feed_of(from, lane_number).due_ms()) return;
  if (std::find(queue.begin(), queue.end(), from) == queue.end()) queue.push_back(from);
}

void publisher_state::dispatch() {
  if (draining_) return;
  if (breaker_.is_open()) {
    probe_sink();
    return probe_held();
  }
  probe_held();
  for (std::uint32_t i = 0; i < lanes_.size(); ++i)
    dispatch(i);
}

// A stream of which the sink has taken nothing yet, while it takes others, gets one lane: who knows
// how long it will wait for a target.
bool publisher_state::is_unproven(const source& from) const {
  return from.of && taken_ > 0 && from.of->deliveries == 0 && from.of->in_flight > 0;
}

// Gives an idle lane the next batch; the sources take turns.
void publisher_state::dispatch(std::uint32_t lane_number) {
  auto& to = lanes_[lane_number];
  if (to.token != 0 || to.queue.empty()) return;
  const auto now = now_ms();
  std::optional<std::int64_t> next;
  for (auto left = to.queue.size(); left > 0; --left) {
    const auto from = to.queue.front();
    to.queue.pop_front();
    if (from.of && from.of->hold.is_held()) continue;
    const auto due = feed_of(from, lane_number).due_ms();
    if (!due) continue;
    const bool may = !is_unproven(from);
    if (*due <= now && may) return send_batch(lane_number, from, ~0u);
    to.queue.push_back(from);
    if (may) next = std::min(next.value_or(*due), *due);
  }
  if (next) wake_at(*next);
}

// A small batch of a stream that got through, or else failed least, for an open breaker: one that others made open
// closes again at once.
void publisher_state::probe_sink() {
  const auto now = now_ms();
  const auto allowance = breaker_.allowance(now);
  std::optional<std::int64_t> next;
  std::optional<std::pair<std::uint32_t, source>> best;
  std::pair<bool, std::uint32_t> least; // whether it never got through; failures
  for (std::uint32_t i = 0; i < lanes_.size(); ++i) {
    auto& queue = lanes_[i].queue;
    std::erase_if(queue, [](const source& one) { return one.of && one.of->hold.is_held(); });
    if (lanes_[i].token != 0) continue;
    for (const auto& from : queue) {
      const auto due = feed_of(from, i).due_ms();
      if (!due) continue;
      next = std::min(next.value_or(*due), *due);
      const bool is_new = !from.of || from.of->deliveries == 0;
      const auto rank = std::pair{is_new, from.of ? from.of->hold.failures() : 0u};
      if (*due > now || (best && rank >= least)) continue;
      best = {i, from};
      least = rank;
    }
  }
  if (allowance == 0) {
    if (next && !breaker_.probing()) wake_at(std::max(*next, breaker_.probe_ms()));
  } else if (best) {
    std::erase(lanes_[best->first].queue, best->second);
    send_batch(best->first, best->second, allowance);
  } else if (next) {
    wake_at(*next);
  }
}

void publisher_state::send_batch(std::uint32_t lane_number, const source& from,
                                 std::uint32_t allowance) {
  auto& to = lanes_[lane_number];
  auto& feed = feed_of(from, lane_number);
  auto order = std::make_shared<lane_deliver>();
  order->token = to.token = next_token_++;
  auto& batch = order->batch;
  if (from.of) {
    ++from.of->in_flight;
    batch.stream = from.of->feed.stream();
    batch.tag = parts_.tag;
    batch.lane = std::to_string(lane_number) + '/' + std::to_string(lanes_.size());
  } else {
    batch.stream = from.job->request->batch.stream;
    batch.tag = from.job->request->batch.tag;
    batch.again = from.job->request->batch.again;
  }
  batch.events = feed.take(allowance);
  to.events = batch.events.size();
  to.busy_with = from;
  breaker_.on_sent();
  parts_.metrics->batches.add();
  parts_.metrics->repeats.add(feed.repeats());
  parts_.metrics->inflight_batches.add(1);
  self_->send(to.worker, lane_deliver_ptr{std::move(order)});
}

publisher_self::behavior_type publisher(publisher_self::stateful_pointer<publisher_state> self,
                                        publisher_parts parts) {
  end_process_on_exception(self);
  self->state.start(std::move(parts));
  return {
      [self](const fetch_reply& reply) { self->state.on_fetched(reply); },
      [self](const stream_seen& news) { self->state.on_stream_seen(news.stream); },
      [self](const lane_delivered& news) { self->state.on_delivered(news); },
      [self](const deliver_again_ptr& request) -> caf::result<again_done> {
        self->state.on_again(request, self->make_response_promise());
        return caf::delegated<again_done>{};
      },
      [self](const await_published_ptr& request) { self->state.on_await(request); },
      [self](publish_rest) { return self->state.on_publish_rest(); },
      [self](const wake_up& wake) { self->state.on_wake(wake); },
      [self](const space_rules_changed& news) { self->state.change_rules(news.rule_of); },
      [self](const upkeep_tick&) { self->state.on_upkeep(); },
      [self](caf::tick_atom) { self->state.give_up(); },
      [self](const drain&) -> caf::result<drained> {
        self->state.on_drain(self->make_response_promise());
        return caf::delegated<drained>{};
      },
  };
}

} // namespace penstock
