// The queue actor's other half: saving cursors, what may be retired, statistics.
#include "actors/base/lifecycle_messages.hpp"
#include "actors/journal/journal_messages.hpp"
#include "actors/queue/queue_actor.hpp"
#include "actors/queue/queue_metrics.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace penstock {

// -- saving ---------------------------------------------------------------------------------------

void queue_actor_state::save_if_due() {
  if (!dirty_) return;
  const bool many = unsaved_receipts_ >= max_acks_unsaved && !save_failed_;
  if (many || now_ms() >= next_save_ms_)
    save();
  else
    wake_at(next_save_ms_);
}

void queue_actor_state::save() {
  std::vector<cursor> cursors;
  for (const auto& [key, of] : streams_)
    if (of.dirty) cursors.push_back(of.state.to_save());
  const auto saved = parts_.cursors->save(cursors);
  if (saved) {
    parts_.metrics->cursor_saves.add();
    if (save_failed_) spdlog::info("queue: cursors are saved again");
    for (auto& [key, of] : streams_)
      if (of.dirty) {
        of.dirty = false;
        of.durable_confirmed = of.state.confirmed();
      }
  } else {
    parts_.metrics->cursor_failures.add();
    if (!save_failed_)
      spdlog::error("queue: cursors can't be saved, going on in memory: {}", saved.error().message);
  }
  save_failed_ = !saved;
  dirty_ = save_failed_;
  next_save_ms_ = now_ms() + (saved ? cursor_save_interval : cursor_retry_interval).count();
  if (dirty_) wake_at(next_save_ms_);
  unsaved_receipts_ = 0;
  for (auto& waiting : std::exchange(unsaved_, {})) {
    if (!saved) {
      waiting.done.ok = false;
      waiting.done.why = saved.error();
    }
    waiting.promise.deliver(std::move(waiting.done));
  }
}

// -- what may be retired --------------------------------------------------------------------------

void queue_actor_state::find_new_streams(const newest_map& newest) {
  for (const auto& [key, last] : newest)
    if (!streams_.contains(key) && !settled_.has_all(key, last) && parts_.feeds(key))
      add_stream({key, parts_.sink, 0, {}});
}

/// Of a stream that nobody consumes it is enough to know where its next event is.
void queue_actor_state::let_go(stream& of) {
  if (of.state.in_flight() > 0) return;
  const auto next_time = of.state.oldest_time_ms();
  if (!next_time) return;
  of.unread += of.state.let_go();
  of.let_go_at = of.state.position();
  of.next_time_ms = *next_time;
  of.acked_since = false;
}

bool queue_actor_state::is_idle(const stream& of) const {
  const auto* budget = parts_.budget.get();
  const bool is_short = budget && budget->free_bytes() < budget->bound_bytes() / 2;
  return is_short && of.wanted && of.waiters.empty() && of.state.in_flight() == 0 &&
         now_ms() - of.asked_ms >= queue_idle_time.count();
}

/// Makes sure that the first unacknowledged event of the stream is known, or that there is none: so
/// a stream with nothing pending holds no segment back.
void queue_actor_state::look_ahead(stream& of, std::uint64_t durable,
                                   const newest_map& newest_by_stream) {
  const bool is_known = (of.let_go_at == of.state.position() && !of.acked_since) ||
                        of.state.unacked_in_window() > 0;
  if (!is_known && durable > of.state.position()) {
    const auto last = newest_by_stream.find(of.name);
    const auto newest = last == newest_by_stream.end() ? newest_events{} : last->second;
    if (newest == of.newest) {
      of.state.pass_over(durable);
    } else {
      // One block a read; those that were acknowledged ahead leave nothing in the window.
      read_segments(of, 1);
      if (!of.read_failed && of.state.position() >= durable && of.state.unacked_in_window() == 0)
        of.newest = newest;
    }
  }
  if (!of.wanted) let_go(of);
  if (!of.dirty) of.durable_confirmed = of.state.confirmed();
}

// What waits for the journal is answered by it, and finds the stream gone.
bool queue_actor_state::may_forget(const stream& of, std::uint64_t durable) const {
  return of.waiters.empty() && !of.dirty && of.state.position() >= durable &&
         of.state.unacked_in_window() == 0 && of.unread.events == 0 &&
         of.used_ms + stream_idle_time.count() <= now_ms() && !is_configured(of.name);
}

/// Lets go the streams of which nothing is owed. `newest` is what there was at `durable`: what came
/// since makes a stream known again.
void queue_actor_state::forget_idle(std::uint64_t durable, const newest_map& newest) {
  for (auto at = streams_.begin(); at != streams_.end();) {
    const auto& of = at->second;
    if (!may_forget(of, durable)) {
      ++at;
      continue;
    }
    const auto last = newest.find(of.name);
    if (last != newest.end()) settled_.add(of.name, durable, last->second);
    self_->send(parts_.journal, forget_stream{of.name});
    if (last == newest.end()) gone_.add(of.name);
    at = streams_.erase(at);
  }
  for (auto& each : settled_.drop_gone(newest))
    gone_.add(std::move(each));
  const auto& due = gone_.due([&](const std::string& each) {
    return streams_.contains(each) || newest.contains(each);
  });
  if (!due.empty() && parts_.cursors->forget(parts_.sink, due)) gone_.dropped();
}

/// What a stream may hold is the journal's to know.
void queue_actor_state::tell_journal(const std::vector<queue_stats>& all) {
  auto told = std::make_shared<sink_backlog>();
  told->sink = parts_.sink;
  told->streams.reserve(all.size());
  for (const auto& one : all) {
    const auto& of = streams_.at(one.stream);
    told->streams.push_back(
        {one.stream, {one.depth, one.bytes}, one.oldest_ms, of.appended, of.is_stuck});
  }
  self_->send(parts_.journal, sink_backlog_ptr{std::move(told)});
}

void queue_actor_state::tell_keeper(std::uint64_t durable) {
  auto confirmed = durable;
  for (const auto& [key, of] : streams_)
    confirmed = std::min(confirmed, of.durable_confirmed);
  if (confirmed <= told_confirmed_) return;
  told_confirmed_ = confirmed;
  parts_.metrics->confirmed_seq.set(static_cast<std::int64_t>(confirmed));
  self_->send(parts_.keeper, confirmed_up_to{confirmed, parts_.sink});
}

/// A move of segments takes what was acknowledged ahead out of the journal, so it is counted again.
void queue_actor_state::note_moves() {
  const auto moves = parts_.catalog->moves();
  if (std::exchange(moves_seen_, moves) == moves) return;
  for (auto& [key, of] : streams_) {
    of.newest = {}; // the same number and count may be of other events now
    if (of.state.acked_ahead().empty()) continue;
    of.counted = false;
    of.let_go_at.reset();
  }
}

void queue_actor_state::on_upkeep() {
  note_moves();
  const auto [segments, durable] = parts_.catalog->snapshot();
  const auto newest = newest_of(segments);
  find_new_streams(newest);
  std::vector<queue_stats> all;
  for (auto& [key, of] : streams_) {
    of.read_failed = false;
    of.state.expire(now_ms());
    if (is_idle(of)) {
      of.wanted = false;
      of.counted = false; // what is acknowledged ahead is read again
    }
    look_ahead(of, durable, newest);
    refresh_unread(of);
    expire_old(of);
    bury_unnamed(of);
    all.push_back(stats_of(of));
    if (of.is_behind() && !of.waiters.empty()) read_segments(of, of.state.read_bytes(queue_read_bytes));
    serve(of);
    pump(of);
  }
  tell_journal(all);
  forget_idle(durable, newest);
  tell_keeper(durable);
  parts_.metrics->publish(std::move(all));
  // An open segment can't be retired.
  parts_.reader->release();
  parts_.replay->release();
  save_if_due();
  // Also when nothing is saved: the disk may have got room meanwhile, and fill again.
  parts_.cursors->restore_reserve();
  self_->delayed_send(self_, queue_upkeep_interval, upkeep_tick{});
}

// -- streams that let the oldest go ---------------------------------------------------------------

/// Under a lease, the oldest events of a stream that holds too much, or too old ones; none if it does not.
std::vector<queued_message> queue_actor_state::next_to_expire(stream& of, const stream_rule& rule) {
  constexpr std::uint64_t most_at_once = 1000;
  const auto stats = stats_of(of);
  const auto held = held_bytes({stats.depth, stats.bytes});
  const bool is_large = rule.max_bytes > 0 && held > rule.max_bytes;
  const bool may_be_old = rule.max_age_ms > 0 && stats.oldest_ms > rule.max_age_ms;
  if (stats.depth == 0 || (!is_large && !may_be_old)) return {};
  if (!of.state.has_ready() && of.state.wants_blocks() &&
      parts_.catalog->durable_seq() > of.state.position())
    read_segments(of, of.state.read_bytes(queue_read_bytes));
  // The oldest may be under a lease, and what comes after it young.
  const auto next = of.state.ready_time_ms();
  if (!is_large && (!next || parts_.wall_ms() - *next <= rule.max_age_ms)) return {};
  const auto excess = is_large ? held - rule.max_bytes : 0;
  const auto count = std::clamp<std::uint64_t>(excess / (held / stats.depth), 1, most_at_once);
  return of.state.receive(count, std::max<std::uint64_t>(excess, 1), max_lease_ms, now_ms());
}

bool queue_actor_state::consumers_hold_too_much(const stream& of, const stream_rule& rule) const {
  const auto left = stats_of(of);
  const auto held = held_bytes({left.depth, left.bytes});
  if (rule.max_bytes == 0 || held <= rule.max_bytes) return false;
  const auto bytes_each = held / std::max<std::uint64_t>(1, left.depth);
  return bytes_each * left.in_flight > rule.max_bytes || held / 2 > rule.max_bytes;
}

/// What consumers hold under a lease stays. Where that alone is too much, or where it keeps so much
/// from being looked at that the stream holds twice what it may, the stream takes no more.
void queue_actor_state::expire_old(stream& of) {
  const auto rule = parts_.space_rule ? parts_.space_rule(of.name) : stream_rule{};
  of.is_stuck = false;
  if (rule.refuses) return;
  if (!of.counted) { // what is not known exactly costs nobody an event; what came since must not grow
    of.is_stuck = rule.max_bytes > 0 && held_bytes(of.unread) > rule.max_bytes;
    return;
  }
  expired_events gone;
  while (gone.count < max_expired_at_once) {
    const auto messages = next_to_expire(of, rule);
    if (messages.empty()) {
      of.is_stuck = consumers_hold_too_much(of, rule);
      break;
    }
    for (const auto& message : messages) {
      of.state.ack(message.ticket);
      gone.note(message.ticket.seq);
    }
  }
  if (gone.count == 0) return;
  of.dirty = dirty_ = true;
  of.expired += gone.count;
  parts_.metrics->expired.add(gone.count);
  gone.tell("queue", of.name, parts_.tag);
}

// -- streams that have no name any more -----------------------------------------------------------

void queue_actor_state::bury_unnamed(stream& of) {
  if (!parts_.is_name || parts_.is_name(of.name) || of.burying) return;
  if (!of.state.has_ready() && of.state.wants_blocks() &&
      parts_.catalog->durable_seq() > of.state.position())
    read_segments(of, of.state.read_bytes(queue_read_bytes));
  const auto messages =
      of.state.receive(of.burial_group, max_receive_bytes, max_lease_ms, now_ms());
  if (messages.empty()) return;
  auto wish = std::make_shared<bury>();
  std::vector<receipt> which;
  for (const auto& message : messages) {
    auto letter = letter_of(*message.block, message.index);
    letter.sink = parts_.sink;
    letter.tag = parts_.tag;
    letter.reason = "no consumer can ask for a stream of this name";
    letter.died_ms = parts_.wall_ms();
    wish->letters.push_back(std::move(letter));
    which.push_back(message.ticket);
  }
  of.burying = true;
  self_->request(parts_.dead_letters, caf::infinite, bury_ptr{std::move(wish)})
      .then([this, name = of.name, which](
                const buried& outcome) { on_buried(name, which, outcome); },
            [this, name = of.name, which](const caf::error& why) {
              on_buried(name, which, {false, {errc::unavailable, to_string(why)}});
            });
}

// What could not be kept is tried again at the next upkeep, half as many: a part may have room.
void queue_actor_state::on_buried(const std::string& buried_of, const std::vector<receipt>& which,
                                  const buried& outcome) {
  const auto at = streams_.find(buried_of);
  if (at == streams_.end()) return;
  auto& of = at->second;
  of.burying = false;
  // One that no store of this size holds stays under its lease, and holds up no other.
  const bool is_too_large = which.size() == 1 && outcome.why.code == errc::invalid;
  for (const auto& ticket : which)
    if (outcome.ok)
      of.state.ack(ticket);
    else if (!is_too_large)
      of.state.nack(ticket);
  if (!outcome.ok) {
    of.burial_group = std::max<std::size_t>(1, which.size() / 2);
    if (which.size() == 1 && !std::exchange(of.told_unburied, true))
      spdlog::error("queue: events of the stream '{}', which no consumer can ask for, can't be kept as "
                    "dead letters: {}",
                    of.name, outcome.why.message);
    return;
  }
  of.burial_group = std::min(of.burial_group * 2, max_unnamed_at_once);
  of.told_unburied = false;
  spdlog::warn("queue: {} events of the stream '{}' are dead letters now: no consumer can ask for a "
               "stream of this name",
               which.size(), of.name);
  of.dirty = dirty_ = true;
  save_if_due();
  bury_unnamed(of);
}

// -- statistics -----------------------------------------------------------------------------------

void queue_actor_state::count_unread(stream& of, std::uint64_t durable) {
  const auto count = parts_.reader->count_owed(of.name, of.state.position(), durable,
                                               unacked_events{of.state.acked_ahead()});
  if (!count) return;
  of.unread = *count;
  of.counted = true;
}

// The backlog is counted once, when the stream is first looked at; from then on it grows by what
// is appended and shrinks by what is read, so that a long backlog costs nothing to know.
void queue_actor_state::refresh_unread(stream& of) {
  const auto [appended, durable] = parts_.catalog->appended_now(of.name);
  // The catalog had forgotten it: what it counts now is not what it counted then.
  if (appended.number != of.appended.number && of.appended.number != 0) of.counted = false;
  if (durable <= of.state.position()) {
    of.unread = {};
    of.counted = true;
  } else {
    of.unread += appended.volume; // even if it can't be counted: at least this came
    of.unread -= of.appended.volume;
    if (!of.counted) count_unread(of, durable);
  }
  of.appended = appended;
}

queue_stats queue_actor_state::stats_of(const stream& of) const {
  queue_stats out{.stream = of.name,
                  .depth = of.state.unacked_in_window() + of.unread.events,
                  .in_flight = of.state.in_flight(),
                  .bytes = of.state.unacked_bytes_in_window() + of.unread.bytes,
                  .expired = of.expired};
  if (const auto oldest = of.state.oldest_time_ms())
    out.oldest_ms = std::max<std::int64_t>(0, parts_.wall_ms() - *oldest);
  else if (of.let_go_at == of.state.position() && out.depth > 0)
    out.oldest_ms = std::max<std::int64_t>(0, parts_.wall_ms() - of.next_time_ms);
  return out;
}

// -- the end --------------------------------------------------------------------------------------

void queue_actor_state::on_drain() {
  for (auto& [key, of] : streams_)
    end_waits(of, std::numeric_limits<std::int64_t>::max());
  if (dirty_) save();
  if (dirty_)
    spdlog::error("queue: the last acknowledgements could not be saved; their events will come "
                  "again, with the same ids");
  self_->quit();
}

} // namespace penstock
