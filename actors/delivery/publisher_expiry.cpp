// The publisher's part that lets the oldest events of a stream go, where the stream says so.
#include "actors/delivery/publisher.hpp"

#include <algorithm>
#include <limits>

namespace penstock {

event_volume publisher_state::lag_of(const stream& of) {
  return {of.feed.open_events() + of.unread.events, of.feed.open_bytes() + of.unread.bytes};
}

/// How much it holds that it may not.
std::uint64_t publisher_state::excess_bytes(const stream& of, const stream_rule& rule) const {
  const auto held = held_bytes(lag_of(of));
  return rule.max_bytes > 0 && held > rule.max_bytes ? held - rule.max_bytes : 0;
}

/// From the lane where the oldest event waits, up to the next lane's oldest; without excess one, if it is
/// too old. Gives how many events.
std::size_t publisher_state::drop_oldest(stream& of, const stream_rule& rule,
                                         expired_events& gone) {
  struct waiting_event {
    std::uint64_t seq = 0;
    std::int64_t time_ms = 0;
    std::uint32_t lane = 0;
  };
  std::vector<waiting_event> oldest; // of each lane
  for (std::uint32_t i = 0; i < of.feed.lanes(); ++i)
    if (const auto one = of.feed.lane(i).next_waiting()) oldest.push_back({one->first, one->second, i});
  if (oldest.empty()) return 0;
  std::ranges::sort(oldest, {}, &waiting_event::seq);
  const auto oldest_lane = oldest[0].lane;
  const auto next = oldest.size() > 1 ? oldest[1].seq : std::numeric_limits<std::uint64_t>::max();
  auto excess = excess_bytes(of, rule);
  const bool is_old = rule.max_age_ms > 0 && parts_.wall_ms() - oldest[0].time_ms > rule.max_age_ms;
  if (excess == 0 && !is_old) return 0;
  excess = std::max<std::uint64_t>(excess, 1);
  const auto lag = lag_of(of);
  const auto count = std::max<std::uint64_t>(1, excess / (held_bytes(lag) / lag.events));
  lane_feed::burial_room room{std::min(count, max_expired_at_once - gone.count), excess};
  const auto dead = of.feed.lane(oldest_lane).condemn(next, room, "expired");
  std::vector<publish_watches::answer> answers;
  for (const auto& one : dead) {
    gone.note(one.event.seq());
    of.watches.died(oldest_lane, one.event.seq(), answers);
    of.feed.bury_done(one.event.seq(), one.event.client());
  }
  tell_front_ends(answers);
  advance_watches(of, oldest_lane);
  return dead.size();
}

/// What is under way stays, and so do dead letters that are not kept: where there is no room for
/// them the stream may hold too much for long, and takes no more.
void publisher_state::expire_old(stream& of) {
  const auto rule = parts_.space_rule ? parts_.space_rule(of.feed.stream()) : stream_rule{};
  of.is_stuck = false;
  if (rule.refuses || draining_) return;
  if (!of.counted) { // what is not known exactly costs nobody an event; what came since must not grow
    of.is_stuck = rule.max_bytes > 0 && held_bytes(of.unread) > rule.max_bytes;
    return;
  }
  expired_events gone;
  while (gone.count < max_expired_at_once) {
    if (of.feed.open_events() == 0 && of.feed.position() < parts_.catalog->durable_seq())
      read_segments(of, of.feed.read_bytes(publisher_read_bytes));
    if (drop_oldest(of, rule, gone) == 0) break;
  }
  of.is_stuck = rule.max_bytes > 0 && excess_bytes(of, rule) > 0 &&
                held_bytes(burials_of(of.feed.stream()).waiting_of(of.feed.stream())) > rule.max_bytes;
  if (gone.count == 0) return;
  of.dirty = dirty_ = true;
  of.expired += gone.count;
  parts_.metrics->expired.add(gone.count);
  gone.tell("sink " + parts_.sink, of.feed.stream(), parts_.tag);
}

} // namespace penstock
