#include "actors/queue/queue_streams.hpp"

#include <algorithm>
#include <utility>

namespace penstock {

void queue_streams::start() {
  const auto& parts = context_.parts;
  limits_.max_in_flight = parts.settings.max_in_flight;
  // Lease numbers of one life of the node lie above those of the lives before it.
  first_lease_ = static_cast<std::uint64_t>(parts.wall_ms()) << 20;
  recovered_seq_ = parts.catalog->durable_seq();
  const auto newest = newest_of(parts.catalog->list());
  for (const auto& saved : parts.saved)
    if (saved.sink != parts.sink)
      continue;
    else if (newest.contains(saved.stream))
      add(saved);
    else
      forgotten_.add_gone(saved.stream);
}

queue_stream& queue_streams::add(cursor saved) {
  saved.seq = std::max(saved.seq, forgotten_.take(saved.stream));
  const auto [at, is_new] =
      streams_.try_emplace(saved.stream, saved, limits_, first_lease_, recovered_seq_,
                           budget_share{context_.parts.budget});
  at->second.used_ms = context_.now_ms();
  return at->second;
}

bool queue_streams::is_configured(const std::string& name) const {
  return context_.parts.is_configured && context_.parts.is_configured(name);
}

result<void> queue_streams::check_feeds(const std::string& name) const {
  if (streams_.contains(name) || context_.parts.feeds(name)) return {};
  return error{errc::not_found, "the stream '" + name + "' does not feed the queue '" +
                                    context_.parts.sink + "': see the stream's sinks"};
}

queue_stream* queue_streams::find(const std::string& name) {
  const auto at = streams_.find(name);
  return at == streams_.end() ? nullptr : &at->second;
}

queue_stream* queue_streams::find_with_events(const std::string& name) {
  if (auto* const found = find(name)) return found;
  if (context_.parts.catalog->events_of(name) == 0) return nullptr;
  return &add({name, context_.parts.sink, 0, {}});
}

result<queue_stream*> queue_streams::find_or_add(const std::string& name) {
  if (auto* const found = find_with_events(name)) return found;
  if (streams_.size() >= max_queue_streams && !is_configured(name))
    return error{errc::unavailable, "the queue knows " + std::to_string(max_queue_streams) +
                                        " streams already, as many as it may; this one has no "
                                        "event yet, and is not configured"};
  return &add({name, context_.parts.sink, 0, {}});
}

void queue_streams::find_new(const newest_map& newest) {
  for (const auto& [name, last] : newest)
    if (!streams_.contains(name) && !forgotten_.has_all(name, last) && context_.parts.feeds(name))
      add({name, context_.parts.sink, 0, {}});
}

// What waits for the journal is answered by it, and finds the stream gone.
bool queue_streams::may_forget(const queue_stream& of, std::uint64_t durable) const {
  return of.waiters.empty() && !of.dirty && of.state.position() >= durable &&
         of.state.unacked_in_window() == 0 && of.unread.volume().events == 0 &&
         of.used_ms + stream_idle_time.count() <= context_.now_ms() && !is_configured(of.name);
}

void queue_streams::forget_idle(std::uint64_t durable, const newest_map& newest) {
  const auto& parts = context_.parts;
  for (auto at = streams_.begin(); at != streams_.end();) {
    const auto& of = at->second;
    if (!may_forget(of, durable)) {
      ++at;
      continue;
    }
    forgotten_.add(of.name, durable, newest);
    context_.self->send(parts.journal, forget_stream{of.name});
    at = streams_.erase(at);
  }
  forgotten_.drop_positions(
      newest, [this](const std::string& name) { return streams_.contains(name); }, *parts.cursors,
      parts.sink);
}

void queue_streams::note_moves() {
  const auto moves = context_.parts.catalog->moves();
  if (std::exchange(moves_seen_, moves) == moves) return;
  for (auto& [name, of] : streams_) {
    of.newest = {}; // the same number and count may be of other events now
    if (of.state.acked_ahead().empty()) continue;
    of.unread.count_anew();
    of.let_go_at.reset();
  }
}

} // namespace penstock
