#include "actors/delivery/publisher_streams.hpp"

#include <utility>

namespace penstock {

void publisher_streams::start(std::vector<cursor>& saved, const newest_map& newest) {
  std::erase_if(saved, [&](const cursor& one) {
    if (newest.contains(one.stream)) return false;
    forgotten_.add_gone(one.stream);
    return true;
  });
}

publisher_stream* publisher_streams::find(const std::string& name) {
  const auto at = streams_.find(name);
  return at == streams_.end() ? nullptr : &at->second;
}

// As many as the journal has events of, which the places for names bound, and what was configured:
// one that was left out here would be taken for delivered.
publisher_stream* publisher_streams::find_or_add(const std::string& name) {
  if (auto* const found = find(name)) return found;
  const auto& parts = context_.parts;
  if (!parts.feeds(name)) return nullptr;
  const auto lanes = static_cast<std::uint32_t>(parts.lanes.size());
  stream_feed feed{name, delivered_before{parts.saved, parts.sink, name}, lanes, context_.rules,
                   budget_share{parts.budget}};
  feed.limit(max_held_feed_bytes); // until the sink has taken one
  feed.pass_over(forgotten_.take(name));
  const stream_hold::rules rules{context_.rules.retry_min_ms, context_.rules.retry_max_ms,
                                 parts.settings.missing_target_after_ms.count()};
  auto& added = streams_.try_emplace(name, std::move(feed), lanes, rules).first->second;
  added.used_ms = context_.now_ms();
  return &added;
}

void publisher_streams::find_new(const newest_map& newest) {
  for (const auto& [name, last] : newest)
    if (!forgotten_.has_all(name, last)) find_or_add(name);
}

// What waits for the journal is answered by it, and finds the stream gone.
bool publisher_streams::may_forget(const publisher_stream& of, std::uint64_t durable) const {
  const auto& parts = context_.parts;
  return !of.dirty && of.unread.is_none() && of.feed.open_events() == 0 &&
         of.feed.position() >= durable && of.watches.size() == 0 &&
         of.used_ms + stream_idle_time.count() <= context_.now_ms() &&
         !(parts.is_configured && parts.is_configured(of.name()));
}

std::vector<publisher_stream*> publisher_streams::idle(std::uint64_t durable) {
  std::vector<publisher_stream*> out;
  for (auto& [name, of] : streams_)
    if (may_forget(of, durable)) out.push_back(&of);
  return out;
}

void publisher_streams::forget(const publisher_stream& of, std::uint64_t durable,
                               const newest_map& newest) {
  const std::string name = of.name();
  forgotten_.add(name, durable, newest);
  context_.self->send(context_.parts.journal, forget_stream{name});
  streams_.erase(name);
}

void publisher_streams::forget_gone(const newest_map& newest) {
  const auto& parts = context_.parts;
  forgotten_.drop_positions(
      newest, [this](const std::string& name) { return streams_.contains(name); }, *parts.cursors,
      parts.sink);
}

void publisher_streams::note_moves() {
  const auto moves = context_.parts.catalog->moves();
  if (std::exchange(moves_seen_, moves) == moves) return;
  for (auto& [name, of] : streams_)
    if (of.feed.has_delivered_ahead()) of.unread.count_anew();
}

} // namespace penstock
