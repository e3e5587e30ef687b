// What a journal still owes its sinks, and whether they take it: for a directory whose node is
// gone.
#pragma once

#include "actors/delivery/stream_feed.hpp"
#include "storage/journal/journal_reader.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace penstock {

/// The cursors with those of the embedded queue `queue` also as a publisher of that name has them,
/// so that a publisher takes over where consumers stopped: after what they acknowledged, in order
/// or ahead of it. Pure.
std::vector<cursor> with_queue_as_lane(std::vector<cursor> saved, const std::string& queue);

/// The events of a stream that were not delivered before, by reading all of them. A row that can't
/// be read is left out, and told through `damage`. Blocks on the disk.
result<event_volume> count_backlog(journal_reader& reader, const std::string& stream,
                                   const delivered_before& before,
                                   std::vector<std::string>* damage);

/// Which sinks have settled nothing for too long. Pure.
class stall_watch {
 public:
  explicit stall_watch(std::chrono::milliseconds patience) : patience_ms_{patience.count()} {}
  /// A sink has settled so many events in all by now.
  void note(const std::string& sink, std::uint64_t settled, std::int64_t now_ms);
  bool has_stalled(const std::string& sink, std::int64_t now_ms) const;

 private:
  struct seen {
    std::uint64_t settled = 0;
    std::int64_t since_ms = 0;
  };
  std::int64_t patience_ms_;
  std::map<std::string, seen> sinks_;
};

} // namespace penstock
