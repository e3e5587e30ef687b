// Lets the oldest events of a stream of the queue go, where the stream says so.
#pragma once

#include "actors/queue/acknowledgements.hpp"
#include "actors/queue/queue_context.hpp"
#include "actors/queue/queue_reader.hpp"
#include "actors/queue/queue_stream.hpp"

#include <vector>

namespace penstock {

/// Not synchronised; blocks on the disk.
class queue_expiry {
 public:
  queue_expiry(const queue_context& context, queue_reader& reader, acknowledgements& acks)
      : context_(context), reader_(reader), acks_(acks) {}

  /// What consumers hold under a lease stays. Where that alone is too much, or where it keeps so
  /// much from being looked at that the stream holds twice what it may, the stream takes no more.
  void expire_old(queue_stream& of);

 private:
  std::vector<queued_message> next_to_expire(queue_stream& of, const stream_rule& rule);
  bool consumers_hold_too_much(const queue_stream& of, const stream_rule& rule) const;

  const queue_context& context_;
  queue_reader& reader_;
  acknowledgements& acks_;
};

} // namespace penstock
