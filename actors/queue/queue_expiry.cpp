#include "actors/queue/queue_expiry.hpp"

#include "actors/delivery/expired_events.hpp"
#include "actors/queue/queue_messages.hpp"

#include <algorithm>
#include <cstdint>

namespace penstock {

/// Under a lease, the oldest events of a stream that holds too much, or too old ones; none if it
/// does not.
std::vector<queued_message> queue_expiry::next_to_expire(queue_stream& of,
                                                         const stream_rule& rule) {
  constexpr std::uint64_t most_at_once = 1000;
  const auto wall_ms = context_.parts.wall_ms();
  const auto stats = of.stats(wall_ms);
  const auto held = held_bytes({stats.depth, stats.bytes});
  const bool is_large = rule.max_bytes > 0 && held > rule.max_bytes;
  const bool may_be_old = rule.max_age_ms > 0 && stats.oldest_ms > rule.max_age_ms;
  if (stats.depth == 0 || (!is_large && !may_be_old)) return {};
  reader_.read_if_empty(of);
  // The oldest may be under a lease, and what comes after it young.
  const auto next = of.state.ready_time_ms();
  if (!is_large && (!next || wall_ms - *next <= rule.max_age_ms)) return {};
  const auto excess = is_large ? held - rule.max_bytes : 0;
  const auto count = std::clamp<std::uint64_t>(excess / (held / stats.depth), 1, most_at_once);
  return of.state.receive(count, std::max<std::uint64_t>(excess, 1), max_lease_ms,
                          context_.now_ms());
}

bool queue_expiry::consumers_hold_too_much(const queue_stream& of, const stream_rule& rule) const {
  const auto left = of.stats(context_.parts.wall_ms());
  const auto held = held_bytes({left.depth, left.bytes});
  // Of what a damaged segment lost the bytes may still be counted.
  if (rule.max_bytes == 0 || held <= rule.max_bytes || left.depth == 0) return false;
  return held / left.depth * left.in_flight > rule.max_bytes || held / 2 > rule.max_bytes;
}

void queue_expiry::expire_old(queue_stream& of) {
  const auto& parts = context_.parts;
  const auto rule = parts.space_rule ? parts.space_rule(of.name) : stream_rule{};
  of.is_stuck = false;
  if (rule.refuses) return;
  // What is not known exactly costs nobody an event; what came since must not grow.
  if (!of.unread.is_exact()) {
    of.is_stuck = rule.max_bytes > 0 && held_bytes(of.unread.volume()) > rule.max_bytes;
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
      // Not done where a damaged or restored disk gave the event twice: then its other copy is.
      (void)of.state.ack(message.ticket);
      gone.note(message.ticket.seq);
    }
  }
  if (gone.count == 0) return;
  acks_.note_moved(of);
  of.expired += gone.count;
  parts.metrics->expired.add(gone.count);
  gone.tell("queue", of.name, parts.tag);
}

} // namespace penstock
