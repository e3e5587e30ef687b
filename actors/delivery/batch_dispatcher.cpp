#include "actors/delivery/batch_dispatcher.hpp"

namespace penstock {

void batch_dispatcher::enqueue(std::uint32_t lane, const delivery_source& from) {
  if (from.is_held())
    holds_.enqueue(*from.stream);
  else
    lanes_.enqueue(lane, from);
}

void batch_dispatcher::enqueue(const delivery_source& from) {
  for (std::uint32_t i = 0; i < lanes_.size(); ++i)
    enqueue(i, from);
}

void batch_dispatcher::dispatch() {
  if (context_.is_draining) return;
  if (health_.breaker().is_open()) {
    lanes_.send_probe();
    return holds_.send_probe();
  }
  holds_.send_probe();
  lanes_.send_due();
}

} // namespace penstock
