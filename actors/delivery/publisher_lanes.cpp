#include "actors/delivery/publisher_lanes.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

namespace penstock {

void publisher_lanes::start() {
  for (const auto& worker : context_.parts.lanes)
    lanes_.emplace_back().worker = worker;
}

bool publisher_lanes::all_idle() const {
  return std::all_of(lanes_.begin(), lanes_.end(),
                     [](const lane_state& one) { return one.token == 0; });
}

// -- queues ---------------------------------------------------------------------------------------

void publisher_lanes::enqueue(std::uint32_t lane_number, const delivery_source& from) {
  PENSTOCK_ASSERT(lane_number < lanes_.size());
  auto& queue = lanes_[lane_number].queue;
  if (!from.feed(lane_number).due_ms()) return;
  if (std::find(queue.begin(), queue.end(), from) == queue.end()) queue.push_back(from);
}

void publisher_lanes::drop(const delivery_source& from) {
  for (auto& one : lanes_)
    std::erase(one.queue, from);
}

// -- sending --------------------------------------------------------------------------------------

void publisher_lanes::send_due() {
  for (std::uint32_t i = 0; i < size(); ++i)
    send_due(i);
}

// A stream of which the sink has taken nothing yet, while it takes others, gets one lane: who knows
// how long it will wait for a target.
bool publisher_lanes::is_unproven(const delivery_source& from) const {
  return from.stream && health_.taken() > 0 && from.stream->deliveries == 0 &&
         from.stream->in_flight > 0;
}

void publisher_lanes::send_due(std::uint32_t lane_number) {
  auto& to = lanes_[lane_number];
  if (to.token != 0 || to.queue.empty()) return;
  const auto now = context_.now_ms();
  std::optional<std::int64_t> next;
  for (auto left = to.queue.size(); left > 0; --left) {
    const auto from = to.queue.front();
    to.queue.pop_front();
    if (from.is_held()) continue;
    const auto due = from.feed(lane_number).due_ms();
    if (!due) continue;
    const bool may = !is_unproven(from);
    if (*due <= now && may) return send_batch(lane_number, from, ~0u);
    to.queue.push_back(from);
    if (may) next = std::min(next.value_or(*due), *due);
  }
  if (next) context_.wake_at(*next);
}

void publisher_lanes::send_probe() {
  const auto now = context_.now_ms();
  const auto& breaker = health_.breaker();
  const auto allowance = breaker.allowance(now);
  std::optional<std::int64_t> next;
  std::optional<std::pair<std::uint32_t, delivery_source>> best;
  std::pair<bool, std::uint32_t> least; // whether it never got through; failures
  for (std::uint32_t i = 0; i < size(); ++i) {
    auto& queue = lanes_[i].queue;
    std::erase_if(queue, [](const delivery_source& one) { return one.is_held(); });
    if (lanes_[i].token != 0) continue;
    for (const auto& from : queue) {
      const auto due = from.feed(i).due_ms();
      if (!due) continue;
      next = std::min(next.value_or(*due), *due);
      const bool is_new = !from.stream || from.stream->deliveries == 0;
      const auto rank = std::pair{is_new, from.stream ? from.stream->hold.failures() : 0u};
      if (*due > now || (best && rank >= least)) continue;
      best = {i, from};
      least = rank;
    }
  }
  if (allowance == 0) {
    if (next && !breaker.probing()) context_.wake_at(std::max(*next, breaker.probe_ms()));
  } else if (best) {
    std::erase(lanes_[best->first].queue, best->second);
    send_batch(best->first, best->second, allowance);
  } else if (next) {
    context_.wake_at(*next);
  }
}

void publisher_lanes::send_batch(std::uint32_t lane_number, const delivery_source& from,
                                 std::uint32_t max_events) {
  PENSTOCK_ASSERT(lane_number < lanes_.size() && is_idle(lane_number));
  auto& to = lanes_[lane_number];
  auto& feed = from.feed(lane_number);
  auto order = std::make_shared<lane_deliver>();
  order->token = to.token = next_token_++;
  auto& batch = order->batch;
  if (from.stream) {
    ++from.stream->in_flight;
    batch.stream = from.stream->name();
    batch.tag = context_.parts.tag;
    batch.lane = std::to_string(lane_number) + '/' + std::to_string(lanes_.size());
  } else {
    batch.stream = from.job->request->batch.stream;
    batch.tag = from.job->request->batch.tag;
    batch.again = from.job->request->batch.again;
  }
  batch.events = feed.take(max_events);
  PENSTOCK_ASSERT(!batch.events.empty());
  to.events = batch.events.size();
  to.busy_with = from;
  health_.breaker().on_sent();
  auto& metrics = *context_.parts.metrics;
  metrics.batches.add();
  metrics.repeats.add(feed.repeats());
  metrics.inflight_batches.add(1);
  context_.self->send(to.worker, lane_deliver_ptr{std::move(order)});
}

std::optional<publisher_lanes::answer> publisher_lanes::take_answer(const lane_delivered& update) {
  if (update.lane >= lanes_.size() || lanes_[update.lane].token != update.token)
    return std::nullopt;
  auto& of = lanes_[update.lane];
  answer out{std::exchange(of.busy_with, {}), update.outcome};
  out.outcome.events.resize(of.events, settled_as::failed);
  of.token = 0;
  if (auto* const stream = out.from.stream) {
    PENSTOCK_ASSERT(stream->in_flight > 0);
    --stream->in_flight;
  }
  auto& metrics = *context_.parts.metrics;
  metrics.inflight_batches.add(-1);
  metrics.batch_us.observe(update.took_us);
  return out;
}

void publisher_lanes::stop() {
  for (auto& one : lanes_)
    context_.self->send_exit(one.worker, caf::exit_reason::user_shutdown);
}

} // namespace penstock
