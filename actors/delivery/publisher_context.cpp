#include "actors/delivery/publisher_context.hpp"

#include <algorithm>

namespace penstock {

std::int64_t publisher_context::now_ms() const {
  const auto since = self->clock().now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
}

void publisher_context::wake_at(std::int64_t at_ms) {
  if (!wake_.plan(at_ms)) return;
  const auto delay = std::chrono::milliseconds{std::max<std::int64_t>(0, at_ms - now_ms())};
  self->delayed_send(self, delay, wake_up{at_ms});
}

} // namespace penstock
