#include "actors/queue/queue_stream.hpp"

#include <algorithm>

namespace penstock {

queue_stats queue_stream::stats(std::int64_t wall_ms) const {
  queue_stats out{.stream = name,
                  .depth = state.unacked_in_window() + unread.volume().events,
                  .in_flight = state.in_flight(),
                  .bytes = state.unacked_bytes_in_window() + unread.volume().bytes,
                  .expired = expired};
  if (const auto oldest = state.oldest_time_ms())
    out.oldest_ms = std::max<std::int64_t>(0, wall_ms - *oldest);
  else if (let_go_at == state.position() && out.depth > 0)
    out.oldest_ms = std::max<std::int64_t>(0, wall_ms - next_time_ms);
  return out;
}

} // namespace penstock
