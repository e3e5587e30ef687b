#include "actors/delivery/sink_health.hpp"

#include <spdlog/spdlog.h>

namespace penstock {

void sink_health::note_error(const delivery& outcome, std::uint64_t taken, std::uint64_t refused) {
  const auto& parts = context_.parts;
  if (taken + refused < outcome.events.size() || outcome.events.empty()) {
    parts.metrics->failures.add();
    last_error_ = outcome.failure;
    last_error_ms_ = parts.wall_ms();
  } else if (refused > 0) {
    last_error_ = outcome.refusal;
    last_error_ms_ = parts.wall_ms();
  }
}

bool sink_health::change_state(sink_state to) {
  if (to == state_) return false;
  const auto& parts = context_.parts;
  if (to == sink_state::open)
    spdlog::warn("sink {}: takes nothing; its events stay in the journal, and it is tried now and "
                 "then: {}",
                 parts.sink, last_error_);
  else if (to == sink_state::retrying && state_ == sink_state::ok &&
           parts.wall_ms() >= quiet_until_ms_) {
    spdlog::info("sink {}: a batch was not taken, trying again: {}", parts.sink, last_error_);
    quiet_until_ms_ = parts.wall_ms() + retrying_told_interval.count();
  } else if (state_ == sink_state::open)
    spdlog::info("sink {}: takes events again", parts.sink);
  const bool matters = to == sink_state::open || state_ == sink_state::open;
  state_ = to;
  return matters;
}

} // namespace penstock
