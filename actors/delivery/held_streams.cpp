#include "actors/delivery/held_streams.hpp"

#include "actors/base/units.hpp"
#include "storage/base/assert.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace penstock {

// -- trying them
// ------------------------------------------------------------------------------------

void held_streams::send_probe() {
  if (queue_.empty() || budget_.is_busy()) return;
  const auto now = context_.now_ms();
  const auto& breaker = health_.breaker();
  if (breaker.allowance(now) == 0) {
    if (!breaker.probing()) context_.wake_at(breaker.probe_ms());
    return;
  }
  if (!budget_.allows(now)) return context_.wake_at(budget_.next_ms());
  std::size_t looked_at = 0;
  for (auto next = queue_.begin(); next != queue_.end() && next->first <= now;) {
    auto& of = *next->second;
    bool waits = false;
    for (std::uint32_t i = 0; i < of.feed.lanes(); ++i)
      waits = waits || of.feed.lane(i).has_waiting();
    if (!waits) {
      next = queue_.erase(next); // until something comes
      continue;
    }
    if (send_probe(of)) return;
    if (++looked_at == max_probe_candidates) return; // the next answer frees a lane
    ++next;
  }
  if (!queue_.empty() && queue_.begin()->first > now) context_.wake_at(queue_.begin()->first);
}

// False: the lanes of its events are all busy.
bool held_streams::send_probe(publisher_stream& of) {
  PENSTOCK_ASSERT(!probed_);
  for (std::uint32_t i = 0; i < of.feed.lanes(); ++i) {
    const auto& feed = of.feed.lane(i);
    if (!lanes_.is_idle(i) || !feed.idle() || !feed.has_waiting()) continue;
    probed_ = &of;
    budget_.on_sent(context_.now_ms());
    lanes_.send_batch(i, {&of, nullptr}, sink_breaker::probe_events);
    return true;
  }
  return false;
}

bool held_streams::end_probe(const publisher_stream* of) {
  if (!of || of != probed_) return false;
  probed_ = nullptr;
  budget_.on_done(context_.now_ms());
  return true;
}

void held_streams::hurry() {
  queue_.clear();
  for (auto& [name, of] : streams_) {
    of.hold.hurry(context_.now_ms(), max_drain_pause.count());
    if (of.hold.is_held()) enqueue(of);
  }
}

// -- holding and letting go
// -------------------------------------------------------------------------

void held_streams::hold_back(publisher_stream& of, const delivery& outcome, bool was_probe) {
  if (of.hold.is_held() && !was_probe) return; // sent before it was held
  const auto& parts = context_.parts;
  drop(of);
  PENSTOCK_ASSERT(health_.taken() >= of.deliveries);
  const bool began = of.hold.on_failure(outcome.scope, context_.now_ms(), outcome.pause_ms.count(),
                                        health_.taken() - of.deliveries, parts.random());
  if (!of.hold.is_held()) return;
  of.last_error = outcome.failure;
  of.feed.limit(max_held_feed_bytes);
  if (of.hold.is_lapsed()) of.condemned_to = parts.catalog->durable_seq();
  enqueue(of);
  if (!began || parts.wall_ms() < of.quiet_until_ms) return;
  of.quiet_until_ms = parts.wall_ms() + retrying_told_interval.count();
  of.told_held = true;
  if (++told_ > max_holds_told) return;
  const auto missing_after = parts.settings.missing_target_after_ms;
  const bool dies = of.hold.scope() == failure_scope::missing && missing_after.count() > 0;
  spdlog::warn("sink {}: stream '{}' waits, others go on{}: {}", parts.sink, of.name(),
               dies ? "; if it still has no target in " + format_duration(missing_after) +
                          ", its events are dead letters"
                    : "",
               of.last_error);
}

void held_streams::release(publisher_stream& of) {
  drop(of);
  of.feed.limit(max_feed_bytes);
  if (!of.hold.on_success()) return;
  of.last_error.clear();
  for (std::uint32_t i = 0; i < of.feed.lanes(); ++i) {
    of.feed.lane(i).retry_now(context_.now_ms());
    lanes_.enqueue(i, {&of, nullptr});
  }
  if (std::exchange(of.told_held, false) && ++told_ <= max_holds_told)
    spdlog::info("sink {}: stream '{}' is taken again", context_.parts.sink, of.name());
}

void held_streams::shrink(publisher_stream& of) {
  if (!of.hold.is_held() || of.hold.failures() < failures_until_rewind) return;
  if (!of.feed.rewind(context_.parts.sink)) return;
  drop(of);
  of.unread.count_anew();
}

// -- what is told
// -----------------------------------------------------------------------------------

bool held_streams::are_all_held() const {
  bool any = false;
  for (const auto& [name, of] : streams_) {
    if (!of.hold.is_held() && (of.deliveries > 0 || of.feed.open_events() > 0)) return false;
    if (of.hold.is_held() && of.hold.failures() < sink_breaker::max_failures) return false;
    any = any || of.hold.is_held();
  }
  return any;
}

void held_streams::tell(std::vector<sink_lag>& lags) const {
  std::vector<std::pair<sink_lag*, const publisher_stream*>> held;
  auto lag = lags.begin();
  std::int64_t missing = 0;
  for (const auto& [name, of] : streams_) {
    PENSTOCK_ASSERT(lag != lags.end() && lag->stream == name);
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
  auto& metrics = *context_.parts.metrics;
  metrics.held_streams.set(static_cast<std::int64_t>(held.size()));
  metrics.missing_targets.set(missing);
}

void held_streams::tell_rest() {
  const auto told = std::exchange(told_, 0);
  if (told > max_holds_told)
    spdlog::warn("sink {}: and {} streams more that wait or are taken again; see 'penstock status'",
                 context_.parts.sink, told - max_holds_told);
}

} // namespace penstock
