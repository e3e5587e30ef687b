#include "actors/retention/backlog.hpp"

#include <utility>

namespace penstock {

namespace {
/// One read of the journal gives about this much.
constexpr std::size_t backlog_read_bytes = 4u << 20;
} // namespace

std::vector<cursor> with_queue_as_lane(std::vector<cursor> saved, const std::string& queue) {
  std::vector<cursor> lanes;
  for (const auto& one : saved)
    if (one.sink == queue)
      lanes.push_back({one.stream, lane_cursor_name(queue, 0, 1), one.seq, one.acked_ahead});
  saved.insert(saved.end(), std::make_move_iterator(lanes.begin()),
               std::make_move_iterator(lanes.end()));
  return saved;
}

result<event_volume> count_backlog(journal_reader& reader, const std::string& stream,
                                   const delivered_before& before,
                                   std::vector<std::string>* damage) {
  event_volume backlog;
  for (auto after = before.position();;) {
    const auto blocks = reader.read(stream, after, backlog_read_bytes, damage);
    if (!blocks) return blocks.error();
    if (blocks->empty()) return backlog;
    for (const auto& block : *blocks) {
      for (std::size_t i = 0; i < block->size(); ++i) {
        const auto seq = block->first_seq + i;
        if (seq <= after || before.contains(seq, block->events[i].client)) continue;
        ++backlog.events;
        backlog.bytes += block->body(i).size();
      }
      after = block->last_seq();
    }
  }
}

void stall_watch::note(const std::string& sink, std::uint64_t settled, std::int64_t now_ms) {
  const auto [at, is_new] = sinks_.try_emplace(sink, seen{settled, now_ms});
  if (is_new || at->second.settled == settled) return;
  at->second = {settled, now_ms};
}

bool stall_watch::has_stalled(const std::string& sink, std::int64_t now_ms) const {
  const auto at = sinks_.find(sink);
  return at != sinks_.end() && now_ms - at->second.since_ms >= patience_ms_;
}

} // namespace penstock
