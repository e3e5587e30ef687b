#include "actors/delivery/sink_breaker.hpp"

#include "actors/delivery/lane_feed.hpp"

#include <algorithm>

namespace penstock {

std::uint32_t sink_breaker::allowance(std::int64_t now_ms) const {
  if (!is_open()) return ~0u;
  return !probing_ && now_ms >= not_before_ms_ ? probe_events : 0;
}

void sink_breaker::hurry(std::int64_t now_ms, std::int64_t max_pause_ms) {
  retry_max_ms_ = std::min(retry_max_ms_, max_pause_ms);
  retry_min_ms_ = std::min(retry_min_ms_, retry_max_ms_);
  not_before_ms_ = std::min(not_before_ms_, now_ms + max_pause_ms);
}

bool sink_breaker::on_success() {
  const bool was_open = is_open();
  failures_ = 0;
  probing_ = false;
  return was_open;
}

bool sink_breaker::on_failure(std::int64_t now_ms, double random) {
  const bool was_open = is_open();
  ++failures_;
  probing_ = false;
  if (!is_open()) return false;
  not_before_ms_ =
      now_ms + retry_pause_ms(failures_ - max_failures, retry_min_ms_, retry_max_ms_, random);
  return !was_open;
}

} // namespace penstock
