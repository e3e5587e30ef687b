// What the sinks are still owed of the journal, by the cursors that are durable.
#pragma once

#include "actors/delivery/stream_feed.hpp"
#include "storage/journal/segment_mover.hpp"
#include "storage/stores/cursor_store.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace penstock {

/// A sink, and which streams it is fed from.
struct sink_route {
  std::string sink;
  std::function<bool(const std::string& stream)> feeds;
};

/// Events of a stream that all its sinks have: all up to `floor`, and closed ranges past it, which
/// are sorted and do not overlap.
struct delivered_events {
  std::uint64_t floor = 0;
  std::vector<seq_ranges::range> beyond{};
};

/// By what is on the disk, not by what sinks know meanwhile: so it tells what a restart would
/// deliver, and may owe more than is owed, never less. Not synchronised: it remembers what it
/// worked out.
class backlog_book final : public backlog_events {
 public:
  /// `queue`: the embedded queue among the sinks; empty if there is none.
  backlog_book(std::vector<cursor> saved, std::vector<sink_route> routes, const std::string& queue);

  portion between(const std::string& stream, std::uint64_t first,
                  std::uint64_t last) const override;
  bool is_in_backlog(const std::string& stream, std::uint64_t seq,
                     std::uint64_t client) const override;
  /// Of whichever client; perhaps less than was delivered. The ranges are those of the sink that is
  /// furthest behind, if that is the queue or has one lane: so it is exact where the others have
  /// all of them. No more than max_done_ranges_per_lane. Of a stream without a sink nothing is owed
  /// ever.
  delivered_events delivered(const std::string& stream) const;

 private:
  /// What each sink of a stream was delivered.
  using deliveries = std::vector<delivered_before>;
  const deliveries& of(const std::string& stream) const;

  std::vector<sink_route> routes_;
  std::unordered_map<std::string, std::vector<cursor>> saved_; // by stream
  mutable std::unordered_map<std::string, deliveries> known_;
};

/// Gives what is owed now; null when nothing is known of it.
using backlog_source = std::function<result<std::shared_ptr<const backlog_events>>()>;

/// By the cursors that are saved at each call.
backlog_source backlog_by_cursors(std::shared_ptr<cursor_store> cursors,
                                  std::vector<sink_route> routes, std::string queue);

} // namespace penstock
