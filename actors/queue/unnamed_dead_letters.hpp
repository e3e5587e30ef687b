// Streams of the queue that have a name no more: their events become dead letters.
#pragma once

#include "actors/delivery/delivery_messages.hpp"
#include "actors/queue/acknowledgements.hpp"
#include "actors/queue/queue_context.hpp"
#include "actors/queue/queue_reader.hpp"
#include "actors/queue/queue_streams.hpp"

#include <string>
#include <vector>

namespace penstock {

/// One group of a stream is under way at a time, under leases. Not synchronised.
class unnamed_dead_letters {
 public:
  unnamed_dead_letters(const queue_context& context, queue_streams& streams, queue_reader& reader,
                       acknowledgements& acks)
      : context_(context), streams_(streams), reader_(reader), acks_(acks) {}

  /// Sends the next events to the dead letters actor if no consumer can ask for the stream.
  void send(queue_stream& of);

 private:
  void on_dead_letters_stored(const std::string& name, const std::vector<receipt>& which,
                              const dead_letters_stored& outcome);

  const queue_context& context_;
  queue_streams& streams_;
  queue_reader& reader_;
  acknowledgements& acks_;
};

} // namespace penstock
