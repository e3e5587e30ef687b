// How a publisher's streams are read: from the journal actor's memory, or from segments.
#pragma once

#include "actors/delivery/batch_dispatcher.hpp"
#include "actors/delivery/dead_letter_sender.hpp"
#include "actors/delivery/publisher_context.hpp"
#include "actors/delivery/publisher_streams.hpp"
#include "actors/delivery/sink_health.hpp"

#include <cstddef>
#include <vector>

namespace penstock {

/// One read of the journal gives about this much.
inline constexpr std::size_t publisher_read_bytes = 4u << 20;

/// One fetch_request a stream is under way. Not synchronised; blocks on the disk.
class stream_reader {
 public:
  stream_reader(const publisher_context& context, publisher_streams& streams,
                const sink_health& health, batch_dispatcher& dispatcher,
                dead_letter_sender& letters)
      : context_(context), streams_(streams), health_(health), dispatcher_(dispatcher),
        letters_(letters) {}

  /// Reads on if the stream may hold more and somebody may take it.
  void pump(publisher_stream& of);
  void on_fetched(const fetch_reply& reply);
  /// Reads up to so many bytes of segments now.
  void read_segments(publisher_stream& of, std::size_t max_bytes);
  /// Learns how much there is to be read.
  void refresh_unread(publisher_stream& of);

 private:
  bool is_resting(const publisher_stream& of) const;
  void add(publisher_stream& of, const std::vector<const_block_ptr>& blocks);

  const publisher_context& context_;
  publisher_streams& streams_;
  const sink_health& health_;
  batch_dispatcher& dispatcher_;
  dead_letter_sender& letters_;
};

} // namespace penstock
