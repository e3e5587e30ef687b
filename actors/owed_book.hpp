// What the sinks are still owed of the journal, by the cursors that are durable.
#pragma once

#include "actors/stream_feed.hpp"
#include "storage/cursor_store.hpp"
#include "storage/segment_mover.hpp"

#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

namespace penstock {

/// A sink, and which streams it is fed from.
struct sink_route {
  std::string sink;
  std::function<bool(const std::string& stream)> feeds;
};

/// By what is on the disk, not by what sinks know meanwhile: so it tells what a restart would
/// deliver, and may owe more than is owed, never less. Not synchronised: it remembers what it
/// worked out.
class owed_book final : public owed_events {
 public:
  /// `queue`: the embedded queue among the sinks; empty if there is none.
  owed_book(std::vector<cursor> saved, std::vector<sink_route> routes, const std::string& queue);

  portion between(const std::string& stream, std::uint64_t first,
                  std::uint64_t last) const override;
  bool is_owed(const std::string& stream, std::uint64_t seq, std::uint64_t client) const override;

 private:
  /// What each sink of a stream was delivered.
  using deliveries = std::vector<delivered_before>;
  const deliveries& of(const std::string& stream) const;

  std::vector<sink_route> routes_;
  std::unordered_map<std::string, std::vector<cursor>> saved_; // by stream
  mutable std::unordered_map<std::string, deliveries> known_;
};

} // namespace penstock
