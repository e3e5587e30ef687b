// The publisher's fourth part: streams that fail alone, and hold only themselves.
#include "actors/base/units.hpp"
#include "actors/delivery/publisher.hpp"
#include "actors/delivery/sink_metrics.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace penstock {

stream_hold::rules publisher_state::hold_rules() const {
  return {rules_.retry_min_ms, rules_.retry_max_ms,
          parts_.settings.missing_target_after_ms.count()};
}

// -- trying held streams --------------------------------------------------------------------------

void publisher_state::queue_probe(stream& of) {
  held_.emplace(of.hold.due_ms(), &of);
}

// One at a time, and within a tenth of the time: what is spent here another stream may miss.
void publisher_state::probe_held() {
  if (held_.empty() || budget_.is_busy()) return;
  const auto now = now_ms();
  if (breaker_.allowance(now) == 0) {
    if (!breaker_.probing()) wake_at(breaker_.probe_ms());
    return;
  }
  if (!budget_.allows(now)) return wake_at(budget_.next_ms());
  std::size_t looked_at = 0;
  for (auto next = held_.begin(); next != held_.end() && next->first <= now;) {
    auto& of = *next->second;
    bool waits = false;
    for (std::uint32_t i = 0; i < of.feed.lanes(); ++i)
      waits = waits || of.feed.lane(i).has_waiting();
    if (!waits) {
      next = held_.erase(next); // until something comes
      continue;
    }
    if (send_probe(of)) return;
    if (++looked_at == max_probe_candidates) return; // the next answer frees a lane
    ++next;
  }
  if (!held_.empty() && held_.begin()->first > now) wake_at(held_.begin()->first);
}

// False: the lanes of its events are all busy.
bool publisher_state::send_probe(stream& of) {
  for (std::uint32_t i = 0; i < of.feed.lanes(); ++i) {
    if (lanes_[i].token != 0 || !of.feed.lane(i).idle() || !of.feed.lane(i).has_waiting()) continue;
    probed_ = &of;
    budget_.on_sent(now_ms());
    send_batch(i, {&of, nullptr}, sink_breaker::probe_events);
    return true;
  }
  return false;
}

// -- holding and letting go -----------------------------------------------------------------------

/// Nothing of a batch of the stream was taken.
void publisher_state::hold_back(stream& of, const delivery& outcome, bool was_probe) {
  if (of.hold.is_held() && !was_probe) return; // sent before it was held
  held_.erase({of.hold.due_ms(), &of});
  const bool began =
      of.hold.on_failure(outcome.scope, now_ms(), outcome.pause_ms.count(),
                         taken_ - of.deliveries, parts_.random());
  if (!of.hold.is_held()) return;
  of.last_error = outcome.failure;
  of.feed.limit(max_held_feed_bytes);
  if (of.hold.is_lapsed()) of.condemned_to = parts_.catalog->durable_seq();
  queue_probe(of);
  if (!began || parts_.wall_ms() < of.quiet_until_ms) return;
  of.quiet_until_ms = parts_.wall_ms() + retrying_told_interval.count();
  of.told_held = true;
  if (++holds_since_upkeep_ > max_holds_told) return;
  const bool dies = of.hold.scope() == failure_scope::missing &&
                    parts_.settings.missing_target_after_ms.count() > 0;
  spdlog::warn("sink {}: stream '{}' waits, others go on{}: {}", parts_.sink, of.feed.stream(),
               dies ? "; if it still has no target in " +
                          format_duration(parts_.settings.missing_target_after_ms) +
                          ", its events are dead letters"
                    : "",
               of.last_error);
}

/// The sink took an event of it.
void publisher_state::release(stream& of) {
  held_.erase({of.hold.due_ms(), &of});
  of.feed.limit(max_feed_bytes);
  if (!of.hold.on_success()) return;
  of.last_error.clear();
  for (std::uint32_t i = 0; i < of.feed.lanes(); ++i) {
    of.feed.lane(i).retry_now(now_ms());
    enqueue(i, {&of, nullptr});
  }
  if (std::exchange(of.told_held, false) && ++holds_since_upkeep_ <= max_holds_told)
    spdlog::info("sink {}: stream '{}' is taken again", parts_.sink, of.feed.stream());
}

// A hold that lasts keeps no memory: what was read is read again.
void publisher_state::shrink(stream& of) {
  if (!of.hold.is_held() || of.hold.failures() < failures_until_rewind) return;
  if (!of.feed.rewind(parts_.sink)) return;
  held_.erase({of.hold.due_ms(), &of});
  of.counted = false;
}

// -- what waited for too long ---------------------------------------------------------------------

// What was there when the sink last said that the target is missing; later events are tried first.
void publisher_state::condemn(stream& of) {
  if (!of.hold.is_lapsed() || !burials_of(of.feed.stream()).empty()) return;
  lane_feed::burial_room room{max_buried_at_once, max_condemned_bytes};
  const auto reason =
      "it had no target for " +
      format_duration(std::chrono::milliseconds{of.hold.missing_ms() / 1000 * 1000}) + ": " +
      of.last_error;
  std::vector<publish_watches::answer> answers;
  for (std::uint32_t i = 0; i < of.feed.lanes(); ++i)
    for (const auto& dead : of.feed.lane(i).condemn(of.condemned_to, room, reason))
      bury_event(i, of, dead, answers);
  tell_front_ends(answers);
  send_bury();
}

void publisher_state::condemn_all() {
  for (auto& [key, of] : streams_)
    condemn(of);
}

// -- what is told ---------------------------------------------------------------------------------

void publisher_state::hurry_holds() {
  held_.clear();
  for (auto& [key, of] : streams_) {
    of.hold.hurry(now_ms(), max_drain_pause.count());
    if (of.hold.is_held()) queue_probe(of);
  }
}

// Then the sink as good as takes nothing. A stream that it takes may have no events just now.
bool publisher_state::is_all_held() const {
  bool any = false;
  for (const auto& [key, of] : streams_) {
    if (!of.hold.is_held() && (of.deliveries > 0 || of.feed.open_events() > 0)) return false;
    if (of.hold.is_held() && of.hold.failures() < sink_breaker::max_failures) return false;
    any = any || of.hold.is_held();
  }
  return any;
}

/// Adds to the lags what is held and why. They are those of streams_, in its order.
void publisher_state::tell_holds(std::vector<sink_lag>& lags) {
  std::vector<std::pair<sink_lag*, const stream*>> held;
  auto lag = lags.begin();
  std::int64_t missing = 0;
  for (const auto& [key, of] : streams_) {
    if (of.hold.is_held()) held.emplace_back(&*lag, &of);
    ++lag;
  }
  std::sort(held.begin(), held.end(),
            [](const auto& a, const auto& b) { return a.first->events > b.first->events; });
  for (std::size_t i = 0; i < held.size(); ++i) {
    const bool is_missing = held[i].second->hold.scope() == failure_scope::missing;
    missing += is_missing;
    held[i].first->state = is_missing ? stream_state::missing : stream_state::held;
    if (i < max_told_holds) held[i].first->error = held[i].second->last_error;
  }
  parts_.metrics->held_streams.set(static_cast<std::int64_t>(held.size()));
  parts_.metrics->missing_targets.set(missing);
}

} // namespace penstock
