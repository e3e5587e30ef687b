#include "actors/queue/queue_consumers.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

namespace penstock {

queue_delivery_ptr refuse_receive(error why) {
  auto out = std::make_shared<queue_delivery>();
  out->ok = false;
  out->why = std::move(why);
  return out;
}

void queue_consumers::show() const {
  context_.parts.metrics->waiters.set(static_cast<std::int64_t>(waiting_));
}

queue_delivery_ptr queue_consumers::deliver(queue_stream& of, const queue_receive& request) {
  auto out = std::make_shared<queue_delivery>();
  const auto& parts = context_.parts;
  const auto lease_ms = request.lease_ms > 0 ? std::min(request.lease_ms, max_lease_ms)
                                             : parts.settings.default_lease_ms.count();
  const auto max = std::min(request.max, max_receive_messages);
  out->messages = of.state.receive(max, std::min(request.max_bytes, max_receive_bytes), lease_ms,
                                   context_.now_ms());
  const auto repeats = std::count_if(out->messages.begin(), out->messages.end(),
                                     [](const queued_message& m) { return m.repeat; });
  parts.metrics->delivered.add(out->messages.size());
  parts.metrics->redelivered.add(static_cast<std::uint64_t>(repeats));
  return out;
}

bool queue_consumers::wait(queue_stream& of, queue_receive request, caf::response_promise promise) {
  if (waiting_ >= max_queue_waiters) {
    promise.deliver(refuse_receive({errc::unavailable, std::to_string(max_queue_waiters) +
                                                           " consumers wait already, as many as "
                                                           "may"}));
    return false;
  }
  const auto wait_ms = std::min(request.wait_ms, max_receive_wait_ms);
  of.waiters.push_back({std::move(request), std::move(promise), context_.now_ms() + wait_ms});
  ++waiting_;
  show();
  return true;
}

void queue_consumers::serve(queue_stream& of) {
  of.state.expire(context_.now_ms());
  while (!of.waiters.empty() && of.state.has_ready()) {
    PENSTOCK_ASSERT(waiting_ > 0);
    auto next = std::move(of.waiters.front());
    of.waiters.pop_front();
    --waiting_;
    next.promise.deliver(deliver(of, next.request));
  }
  show();
  plan_wake(of);
}

void queue_consumers::plan_wake(const queue_stream& of) {
  if (of.waiters.empty()) return;
  for (const auto& one : of.waiters)
    context_.wake_at(one.deadline_ms);
  if (const auto expiry_ms = of.state.next_expiry_ms()) context_.wake_at(*expiry_ms);
}

void queue_consumers::end_late(queue_stream& of, std::int64_t now_ms) {
  end_if(of, [now_ms](const queue_waiter& one) { return one.deadline_ms <= now_ms; });
}

void queue_consumers::end_named(queue_stream& of, std::uint64_t wait_id) {
  end_if(of, [wait_id](const queue_waiter& one) { return one.request.wait_id == wait_id; });
}

template <class Predicate>
void queue_consumers::end_if(queue_stream& of, Predicate ends) {
  const auto over = std::stable_partition(of.waiters.begin(), of.waiters.end(),
                                          [&](const queue_waiter& one) { return !ends(one); });
  for (auto at = over; at != of.waiters.end(); ++at) {
    PENSTOCK_ASSERT(waiting_ > 0);
    at->promise.deliver(queue_delivery_ptr{std::make_shared<queue_delivery>()});
    --waiting_;
  }
  of.waiters.erase(over, of.waiters.end());
  show();
}

} // namespace penstock
