#include "actors/queue/queue_context.hpp"

#include <algorithm>
#include <chrono>

namespace penstock {

std::int64_t queue_context::now_ms() const {
  const auto since = self->clock().now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
}

void queue_context::wake_at(std::int64_t at_ms) {
  if (!wake_.plan(at_ms)) return;
  const auto delay = std::chrono::milliseconds{std::max<std::int64_t>(0, at_ms - now_ms())};
  self->delayed_send(self, delay, wake_up{at_ms});
}

} // namespace penstock
