// What a publisher knows of one stream, and the events that someone asked to be sent again: whose
// events lanes deliver.
#pragma once

#include "actors/base/compat.hpp"
#include "actors/delivery/delivery_messages.hpp"
#include "actors/delivery/lane_feed.hpp"
#include "actors/delivery/publish_watches.hpp"
#include "actors/delivery/stream_feed.hpp"
#include "actors/delivery/stream_hold.hpp"
#include "actors/streams/unread_events.hpp"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace penstock {

struct publisher_stream {
  publisher_stream(stream_feed from, std::uint32_t lanes, const stream_hold::rules& rules)
      : feed{std::move(from)}, hold{rules}, watches{lanes} {}
  publisher_stream(const publisher_stream&) = delete;
  publisher_stream& operator=(const publisher_stream&) = delete;

  const std::string& name() const { return feed.stream(); }
  /// What is durable of it, and not settled.
  event_volume lag() const {
    return {feed.open_events() + unread.volume().events, feed.open_bytes() + unread.volume().bytes};
  }

  stream_feed feed;
  stream_hold hold;
  std::string last_error;          // why it is held
  std::uint64_t condemned_to = 0;  // what came before the sink said once too often "missing"
  std::int64_t quiet_until_ms = 0; // its holds were told
  bool told_held = false;          // that it is, so that its release will be
  publish_watches watches;
  std::uint64_t deliveries = 0; // events that the sink took
  std::size_t in_flight = 0;    // batches
  bool fetching = false;
  std::uint64_t fetch_after = 0; // what the last fetch was to follow
  bool read_failed = false;      // wait for the next upkeep before reading again
  bool dirty = false;            // its cursors moved since they were saved
  std::uint64_t durable_confirmed = 0;
  unread_events unread;      // what is owed after feed.position()
  std::int64_t used_ms = 0;  // when something of it happened last
  std::uint64_t expired = 0; // events let go, as the stream held too much
  bool is_stuck = false;     // it still does, and no more can be let go
};

/// Events that someone asked to be sent again.
struct again_job {
  deliver_again_ptr request;
  caf::response_promise promise;
  std::vector<lane_feed> lanes;
  again_done out;
  std::vector<std::string> reasons; // by event
  std::size_t open = 0;
  std::uint64_t deliveries = 0;
};

/// Whose events may be next on a lane: one of the two.
struct delivery_source {
  publisher_stream* stream = nullptr;
  again_job* job = nullptr;

  lane_feed& feed(std::uint32_t lane) const {
    return stream ? stream->feed.lane(lane) : job->lanes[lane];
  }
  bool is_held() const { return stream && stream->hold.is_held(); }
  bool operator==(const delivery_source&) const = default;
};

} // namespace penstock
