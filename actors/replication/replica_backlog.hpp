// What an origin tells of its streams' deliveries, and what a holder makes of it: which of the
// events that it holds are still owed.
#pragma once

#include "actors/replication/replica_messages.hpp"
#include "actors/retention/backlog_book.hpp"
#include "actors/streams/stream_names.hpp"
#include "storage/journal/segment_catalog.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace penstock {

/// Streams in one replica_news: names that nobody configured, and as many again.
inline constexpr std::size_t max_told_streams = std::size_t{2} * max_stream_names;
/// Ranges of all of them together, and of one.
inline constexpr std::size_t max_told_ranges = 16'384;
inline constexpr std::size_t max_told_ranges_per_stream = max_done_ranges_per_lane;
inline constexpr std::size_t max_told_name_bytes = 256;

/// How many events of streams that are `wanted` lie after `seq`: never too few, and by no more than
/// what other streams have in the segment that `seq` is in. Pure.
std::uint64_t count_at_most(const std::vector<segment_info>& segments,
                            const std::function<bool(const std::string& stream)>& wanted,
                            std::uint64_t seq);

/// Adds what was delivered to the news. `there` was looked at before the cursors of `book` were
/// read. What is too much is left out so that more counts as owed than is: of ranges the last, and
/// of streams those that are furthest, before which `as_of_seq` then ends. News with a name that is
/// too long stay as they were. Pure.
void tell_delivered(replica_news& update, const segments_at& there, const backlog_book& book);

/// By what an origin told: it may owe more than is owed, never less. Immutable; any thread may read
/// it.
class told_backlog final : public backlog_events {
 public:
  /// Null where nothing is told, or what is can't be: out of order, overlapping, or over a bound.
  static std::shared_ptr<const told_backlog> make(const replica_news& update);

  portion between(const std::string& stream, std::uint64_t first,
                  std::uint64_t last) const override;
  bool is_in_backlog(const std::string& stream, std::uint64_t seq,
                     std::uint64_t client) const override;
  const delivered_stream& delivered(const std::string& stream) const;
  /// Says the same in other news.
  void tell(replica_news& to) const;

 private:
  explicit told_backlog(const replica_news& update);

  std::vector<delivered_stream> streams_; // by name
  delivered_stream all_others_;
};

} // namespace penstock
