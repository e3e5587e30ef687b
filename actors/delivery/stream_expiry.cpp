#include "actors/delivery/stream_expiry.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>
#include <limits>
#include <vector>

namespace penstock {

namespace {

// How much it holds that it may not.
std::uint64_t excess_bytes(const publisher_stream& of, const stream_rule& rule) {
  const auto held = held_bytes(of.lag());
  return rule.max_bytes > 0 && held > rule.max_bytes ? held - rule.max_bytes : 0;
}

} // namespace

/// From the lane where the oldest event waits, up to the next lane's oldest; without excess one, if
/// it is too old. Gives how many events.
std::size_t stream_expiry::drop_oldest(publisher_stream& of, const stream_rule& rule,
                                       expired_events& gone) {
  struct waiting_event {
    std::uint64_t seq = 0;
    std::int64_t time_ms = 0;
    std::uint32_t lane = 0;
  };
  std::vector<waiting_event> oldest; // of each lane
  for (std::uint32_t i = 0; i < of.feed.lanes(); ++i)
    if (const auto one = of.feed.lane(i).next_waiting())
      oldest.push_back({one->first, one->second, i});
  if (oldest.empty()) return 0;
  std::ranges::sort(oldest, {}, &waiting_event::seq);
  const auto oldest_lane = oldest[0].lane;
  const auto next = oldest.size() > 1 ? oldest[1].seq : std::numeric_limits<std::uint64_t>::max();
  auto excess = excess_bytes(of, rule);
  const bool is_old =
      rule.max_age_ms > 0 && context_.parts.wall_ms() - oldest[0].time_ms > rule.max_age_ms;
  if (excess == 0 && !is_old) return 0;
  excess = std::max<std::uint64_t>(excess, 1);
  const auto lag = of.lag();
  PENSTOCK_ASSERT(lag.events > 0 && gone.count < max_expired_at_once);
  const auto count = std::max<std::uint64_t>(1, excess / (held_bytes(lag) / lag.events));
  lane_feed::dead_letter_room room{std::min(count, max_expired_at_once - gone.count), excess};
  const auto dead = of.feed.lane(oldest_lane).condemn(next, room, "expired");
  std::vector<publish_watches::answer> answers;
  for (const auto& one : dead) {
    gone.note(one.event.seq());
    of.watches.died(oldest_lane, one.event.seq(), answers);
    of.feed.dead_letter_done(one.event.seq(), one.event.client());
  }
  answers_.tell(answers);
  answers_.advance(of, oldest_lane);
  return dead.size();
}

void stream_expiry::expire_old(publisher_stream& of) {
  const auto& parts = context_.parts;
  const auto rule = parts.space_rule ? parts.space_rule(of.name()) : stream_rule{};
  of.is_stuck = false;
  if (rule.refuses || context_.is_draining) return;
  // What is not known exactly costs nobody an event; what came since must not grow.
  if (!of.unread.is_exact()) {
    of.is_stuck = rule.max_bytes > 0 && held_bytes(of.unread.volume()) > rule.max_bytes;
    return;
  }
  expired_events gone;
  while (gone.count < max_expired_at_once) {
    if (of.feed.open_events() == 0 && of.feed.position() < parts.catalog->durable_seq())
      reader_.read_segments(of, of.feed.read_bytes(publisher_read_bytes));
    if (drop_oldest(of, rule, gone) == 0) break;
  }
  of.is_stuck = rule.max_bytes > 0 && excess_bytes(of, rule) > 0 &&
                held_bytes(letters_.waiting_of(of.name())) > rule.max_bytes;
  if (gone.count == 0) return;
  saver_.note_moved(of);
  of.expired += gone.count;
  parts.metrics->expired.add(gone.count);
  gone.tell("sink " + parts.sink, of.name(), parts.tag);
}

} // namespace penstock
