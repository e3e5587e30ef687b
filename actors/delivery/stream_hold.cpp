#include "actors/delivery/stream_hold.hpp"

#include "actors/delivery/lane_feed.hpp"

#include <algorithm>

namespace penstock {

// Only time between two answers that both say "missing" counts: while the sink is away, or says
// something else, nobody knows.
void stream_hold::note_missing(failure_scope scope, std::int64_t now_ms) {
  if (scope != failure_scope::missing) {
    last_missing_ms_ = no_time;
    return;
  }
  if (last_missing_ms_ != no_time) missing_ms_ += now_ms - last_missing_ms_;
  last_missing_ms_ = now_ms;
}

bool stream_hold::on_failure(failure_scope scope, std::int64_t now_ms, std::int64_t pause_ms,
                             std::uint64_t taken_of_others, double random) {
  const bool was_held = held_;
  note_missing(scope, now_ms);
  if (scope == failure_scope::sink) {
    blamed_ += taken_of_others > others_at_failure_ && failures_ > 0;
    held_ = held_ || blamed_ >= max_blamed;
  } else {
    held_ = true;
  }
  // What was missing may still be: a sink that is away has not said otherwise.
  if (scope != failure_scope::sink || !held_ || !was_held) scope_ = scope;
  others_at_failure_ = taken_of_others;
  const auto pause = retry_pause_ms(failures_, rules_.retry_min_ms, rules_.retry_max_ms, random);
  due_ms_ = now_ms + std::max(pause, pause_ms);
  ++failures_;
  return held_ && !was_held;
}

bool stream_hold::on_success() {
  const bool was_held = held_;
  *this = stream_hold{rules_};
  return was_held;
}

void stream_hold::hurry(std::int64_t now_ms, std::int64_t max_pause_ms) {
  rules_.retry_max_ms = std::min(rules_.retry_max_ms, max_pause_ms);
  rules_.retry_min_ms = std::min(rules_.retry_min_ms, rules_.retry_max_ms);
  due_ms_ = std::min(due_ms_, now_ms + max_pause_ms);
}

} // namespace penstock
