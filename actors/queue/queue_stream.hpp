// What the queue's actor knows of one stream.
#pragma once

#include "actors/base/compat.hpp"
#include "actors/queue/queue_messages.hpp"
#include "actors/queue/queue_metrics.hpp"
#include "actors/queue/queue_state.hpp"
#include "actors/streams/unread_events.hpp"
#include "storage/journal/segment_catalog.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>

namespace penstock {

/// Events that become dead letters at one time, as no consumer can ask for their stream.
inline constexpr std::size_t max_unnamed_at_once = 256;

/// A receive that is held open.
struct queue_waiter {
  queue_receive request;
  caf::response_promise promise;
  std::int64_t deadline_ms = 0;
};

struct queue_stream {
  queue_stream(const cursor& saved, const queue_limits& limits, std::uint64_t first_lease,
               std::uint64_t recovered, budget_share share)
      : name{saved.stream}, state{saved, limits, first_lease, recovered, std::move(share)},
        durable_confirmed{saved.seq} {}
  queue_stream(const queue_stream&) = delete;
  queue_stream& operator=(const queue_stream&) = delete;

  /// The window was let go meanwhile: what is fetched does not follow it.
  bool is_behind() const { return fetching && state.position() < fetch_from; }
  queue_stats stats(std::int64_t wall_ms) const;

  /// Of a stream that no consumer can ask for.
  struct unnamed_state {
    bool is_under_way = false;               // events are on their way to the dead letters
    std::size_t group = max_unnamed_at_once; // how many of them may be
    bool was_told = false;                   // that they can't be kept
  };

  std::string name;
  queue_state state;
  std::deque<queue_waiter> waiters;
  unnamed_state unnamed;
  bool wanted = false;                 // a consumer was here lately, so read ahead
  std::int64_t asked_ms = 0;           // when one was
  bool fetching = false;               // a fetch_request is under way…
  std::uint64_t fetch_from = 0;        // …for what lies after this
  bool read_failed = false;            // wait for the next upkeep before reading again
  bool dirty = false;                  // acknowledgements not yet saved
  std::uint64_t durable_confirmed = 0; // what the keeper may be told
  unread_events unread;                // what is owed after state.position()
  newest_events newest{};              // when nothing of it was owed last
  std::int64_t used_ms = 0;            // when something of it happened last
  /// What the window was let go at, and the time of the event that is next: while the position is
  /// this one, that much is known without holding a block.
  std::optional<std::uint64_t> let_go_at;
  std::int64_t next_time_ms = 0;
  bool acked_since = false;  // something was acknowledged since: read it again
  std::uint64_t expired = 0; // events let go, as the stream held too much
  bool is_stuck = false;     // it still does, and consumers hold the rest
};

} // namespace penstock
