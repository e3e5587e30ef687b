// How the queue's streams are read: from the journal actor's memory, or from segments.
#pragma once

#include "actors/queue/queue_context.hpp"
#include "actors/queue/queue_stream.hpp"
#include "actors/queue/queue_streams.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace penstock {

/// When memory is short, a stream that no consumer asked for in so long, and of which none holds a
/// message, is read ahead no more, and holds none.
inline constexpr std::chrono::milliseconds queue_idle_time{60'000};
/// One read of the journal gives about this much.
inline constexpr std::size_t queue_read_bytes = 4u << 20;

/// One fetch_request a stream is under way, while consumers want it. Not synchronised; blocks on
/// the disk.
class queue_reader {
 public:
  explicit queue_reader(const queue_context& context) : context_(context) {}

  /// Reads ahead if the stream is wanted and may hold more.
  void pump(queue_stream& of);
  /// What came for the stream. False: it does not follow what the stream has.
  bool take(queue_stream& of, const fetch_reply& reply);
  /// Reads segments now, as much as the stream may hold.
  void read_segments(queue_stream& of);
  /// The same if nothing is there to be handed out, and something is durable.
  void read_if_empty(queue_stream& of);
  /// Makes sure that the first unacknowledged event of the stream is known, or that there is none:
  /// so a stream with nothing pending holds no segment back.
  void look_ahead(queue_stream& of, std::uint64_t durable,
                  const queue_streams::newest_map& newest_by_stream);
  /// Learns how much there is to be read.
  void refresh_unread(queue_stream& of);
  /// Memory is short, and nobody wants the stream: it is not read ahead any more.
  void rest_if_idle(queue_stream& of);

 private:
  void read_segments(queue_stream& of, std::size_t max_bytes);
  void add(queue_stream& of, const std::vector<const_block_ptr>& blocks);
  void let_go(queue_stream& of);

  const queue_context& context_;
};

} // namespace penstock
