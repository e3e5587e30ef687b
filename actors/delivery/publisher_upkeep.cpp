// The publisher's third part: saving cursors, what may be retired, lag, the end.
#include "actors/base/lifecycle_messages.hpp"
#include "actors/delivery/publisher.hpp"
#include "actors/delivery/sink_metrics.hpp"
#include "actors/journal/journal_messages.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace penstock {

// -- time -----------------------------------------------------------------------------------------

void publisher_state::wake_at(std::int64_t at_ms) {
  if (wake_at_ms_ != 0 && wake_at_ms_ <= at_ms) return;
  wake_at_ms_ = at_ms;
  const auto delay = std::chrono::milliseconds{std::max<std::int64_t>(0, at_ms - now_ms())};
  self_->delayed_send(self_, delay, wake_up{at_ms});
}

void publisher_state::on_wake(const wake_up& wake) {
  if (wake.at_ms != wake_at_ms_)
    return; // an earlier one was planned since, and planned this one again
  wake_at_ms_ = 0;
  dispatch();
  save_if_due();
}

// -- saving ---------------------------------------------------------------------------------------

void publisher_state::save_if_due() {
  if (!dirty_) return;
  if (now_ms() >= next_save_ms_)
    save();
  else
    wake_at(next_save_ms_);
}

void publisher_state::save() {
  std::vector<cursor> cursors;
  std::vector<std::pair<stream*, std::uint64_t>> moved;
  for (auto& [key, of] : streams_) {
    if (!of.dirty) continue;
    for (auto& one : of.feed.to_save(parts_.sink))
      cursors.push_back(std::move(one));
    moved.emplace_back(&of, of.feed.confirmed());
  }
  const auto saved = parts_.cursors->save(cursors);
  if (saved) {
    if (save_failed_) spdlog::info("sink {}: cursors are saved again", parts_.sink);
    for (const auto& [of, confirmed] : moved) {
      of->dirty = false;
      of->durable_confirmed = confirmed;
    }
  } else if (!save_failed_) {
    spdlog::error("sink {}: cursors can't be saved, going on in memory: {}", parts_.sink,
                  saved.error().message);
  }
  save_failed_ = !saved;
  dirty_ = save_failed_;
  next_save_ms_ = now_ms() + (saved ? publisher_save_interval : publisher_retry_interval).count();
  if (dirty_) wake_at(next_save_ms_);
}

// -- lag, and what may be retired -----------------------------------------------------------------

void publisher_state::count_unread(stream& of, std::uint64_t durable) {
  const auto count =
      parts_.reader->count_owed(of.feed.stream(), of.feed.position(), durable, of.feed.owed());
  if (!count) return;
  of.unread = *count;
  of.counted = true;
}

// The backlog is counted once, when the stream is first looked at; from then on it grows by what
// is appended and shrinks by what is read.
void publisher_state::refresh_unread(stream& of) {
  const auto& key = of.feed.stream();
  const auto [appended, durable] = parts_.catalog->appended_now(key);
  // The catalog had forgotten it: what it counts now is not what it counted then.
  if (appended.number != of.appended.number && of.appended.number != 0) of.counted = false;
  if (durable <= of.feed.position()) {
    of.unread = {};
    of.counted = true;
  } else {
    of.unread += appended.volume; // even if it can't be counted: at least this came
    of.unread -= of.appended.volume;
    if (!of.counted) count_unread(of, durable);
  }
  of.appended = appended;
  if (of.counted && of.unread.events == 0) of.feed.pass_over(durable);
}

void publisher_state::find_new_streams(const newest_map& newest) {
  for (const auto& [key, last] : newest)
    if (!settled_.has_all(key, last)) find(key);
}

// What waits for the journal is answered by it, and finds the stream gone.
bool publisher_state::may_forget(const stream& of, std::uint64_t durable) const {
  return !of.dirty && of.counted && of.unread.events == 0 && of.feed.open_events() == 0 &&
         of.feed.position() >= durable && of.watches.size() == 0 &&
         of.used_ms + stream_idle_time.count() <= now_ms() &&
         !(parts_.is_configured && parts_.is_configured(of.feed.stream()));
}

/// Lets go the streams of which nothing is owed. `newest` is what there was at `durable`: what came
/// since makes a stream known again.
void publisher_state::forget_idle(std::uint64_t durable, const newest_map& newest) {
  for (auto at = streams_.begin(); at != streams_.end();) {
    auto& of = at->second;
    if (!may_forget(of, durable)) {
      ++at;
      continue;
    }
    for (auto& one : lanes_) // it has nothing there, but may still stand in a queue
      std::erase(one.queue, source{&of, nullptr});
    held_.erase({of.hold.due_ms(), &of});
    const auto& key = of.feed.stream();
    const auto last = newest.find(key);
    if (last != newest.end())
      settled_.add(key, durable, last->second);
    else
      gone_.add(key);
    self_->send(parts_.journal, forget_stream{key});
    at = streams_.erase(at);
  }
  for (auto& each : settled_.drop_gone(newest))
    gone_.add(std::move(each));
  const auto& due = gone_.due([&](const std::string& each) {
    return streams_.contains(each) || newest.contains(each);
  });
  if (!due.empty() && parts_.cursors->forget(parts_.sink, due)) gone_.dropped();
}

void publisher_state::tell_keeper(std::uint64_t durable) {
  auto confirmed = durable;
  for (auto& [key, of] : streams_) {
    if (!of.dirty) of.durable_confirmed = of.feed.confirmed();
    confirmed = std::min(confirmed, of.durable_confirmed);
  }
  if (confirmed <= told_confirmed_) return;
  told_confirmed_ = confirmed;
  self_->send(parts_.keeper, confirmed_up_to{confirmed, parts_.sink});
}

void publisher_state::publish_status() {
  std::vector<sink_lag> lags;
  auto told = std::make_shared<sink_backlog>();
  told->sink = parts_.sink;
  for (const auto& [key, of] : streams_) {
    sink_lag lag{.sink = parts_.sink, .kind = parts_.kind, .stream = key};
    lag.events = lag_of(of).events;
    lag.bytes = lag_of(of).bytes;
    if (const auto oldest = of.feed.oldest_time_ms())
      lag.oldest_ms = std::max<std::int64_t>(0, parts_.wall_ms() - *oldest);
    lag.expired = of.expired;
    told->streams.push_back({key, {lag.events, lag.bytes}, lag.oldest_ms, of.appended, of.is_stuck});
    lags.push_back(std::move(lag));
  }
  self_->send(parts_.journal, sink_backlog_ptr{std::move(told)});
  tell_holds(lags);
  parts_.metrics->publish(state_, last_error_, last_error_ms_, std::move(lags));
}

/// A move of segments takes what was delivered ahead out of the journal, so it is counted again.
void publisher_state::note_moves() {
  const auto moves = parts_.catalog->moves();
  if (std::exchange(moves_seen_, moves) == moves) return;
  for (auto& [key, of] : streams_)
    if (of.feed.has_delivered_ahead()) of.counted = false;
}

void publisher_state::on_upkeep() {
  note_moves();
  const auto [segments, durable] = parts_.catalog->snapshot();
  const auto newest = newest_of(segments);
  find_new_streams(newest);
  for (auto& [key, of] : streams_) {
    of.read_failed = false;
    refresh_unread(of);
    of.watches.forget_expired(now_ms());
    expire_old(of);
    pump(of);
  }
  forget_idle(durable, newest);
  tell_keeper(durable);
  publish_status();
  if (dead_since_upkeep_ > max_deaths_told)
    spdlog::warn("sink {}: and {} dead letters more", parts_.sink,
                 dead_since_upkeep_ - max_deaths_told);
  dead_since_upkeep_ = 0;
  if (holds_since_upkeep_ > max_holds_told)
    spdlog::warn("sink {}: and {} streams more that wait or are taken again; see 'penstock status'",
                 parts_.sink, holds_since_upkeep_ - max_holds_told);
  holds_since_upkeep_ = 0;
  parts_.reader->release(); // an open segment can't be retired
  send_bury();
  condemn_all();
  save_if_due();
  dispatch();
  self_->delayed_send(self_, publisher_upkeep_interval, upkeep_tick{});
}

// -- the end --------------------------------------------------------------------------------------

// What is left is counted anew, not looked up in the status, which may be a second old.
publish_left publisher_state::on_publish_rest() {
  breaker_.hurry(now_ms(), max_drain_pause.count());
  hurry_holds();
  find_new_streams(newest_of(parts_.catalog->list()));
  publish_left out{0, breaker_.is_open()};
  std::uint64_t held = 0; // of out.events
  for (auto& [key, of] : streams_) {
    of.read_failed = false;
    refresh_unread(of);
    // At least one where nobody has counted.
    const auto left = of.feed.open_events() + of.unread.events + (of.counted ? 0 : 1);
    out.events += left;
    if (of.hold.is_held()) held += left;
    // The breaker alone paces the probes; a lane may be told to wait while it is closed.
    for (std::uint32_t i = 0; breaker_.is_open() && i < of.feed.lanes(); ++i)
      of.feed.lane(i).retry_now(now_ms());
    pump(of);
  }
  out.is_open = out.is_open || (held > 0 && held == out.events);
  publish_status();
  dispatch();
  return out;
}

void publisher_state::on_drain(caf::response_promise promise) {
  draining_ = true;
  drained_ = std::move(promise);
  self_->delayed_send(self_, publisher_drain_time, caf::tick_atom::value);
  finish_drain_if_idle();
}

void publisher_state::give_up() {
  parts_.stop_sink();
}

void publisher_state::finish_drain_if_idle() {
  if (!draining_) return;
  const bool busy =
      std::any_of(lanes_.begin(), lanes_.end(), [](const lane& one) { return one.token != 0; });
  if (busy) return;
  if (dirty_) save();
  if (dirty_)
    spdlog::error("sink {}: the last cursors could not be saved; their events will be sent again, "
                  "with the same ids",
                  parts_.sink);
  for (auto& job : jobs_) {
    job.out.ok = false;
    job.out.why = {errc::unavailable, "the node is draining"};
    job.promise.deliver(std::move(job.out));
  }
  jobs_.clear();
  parts_.stop_sink();
  for (auto& one : lanes_)
    self_->send_exit(one.worker, caf::exit_reason::user_shutdown);
  drained_.deliver(drained{});
  self_->quit();
}

} // namespace penstock
