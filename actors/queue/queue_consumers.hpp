// Consumers that ask the queue for messages, and those that wait for some.
#pragma once

#include "actors/queue/queue_context.hpp"
#include "actors/queue/queue_messages.hpp"
#include "actors/queue/queue_stream.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>

namespace penstock {

/// Receives held open at one time, over all streams.
inline constexpr std::size_t max_queue_waiters = 1024;

/// An answer for a receive that can't be served.
queue_delivery_ptr refuse_receive(error why);

/// Not synchronised.
class queue_consumers {
 public:
  explicit queue_consumers(queue_context& context) : context_(context) {}

  /// What is ready, under a lease; nothing perhaps.
  queue_delivery_ptr deliver(queue_stream& of, const queue_receive& request);
  /// Holds a receive open. False: refused, as too many wait.
  bool wait(queue_stream& of, queue_receive request, caf::response_promise promise);
  /// Answers those who wait, as far as something is ready.
  void serve(queue_stream& of);
  /// The actor is woken for what those who wait for the stream may get or miss next.
  void plan_wake(const queue_stream& of);
  /// Answers with nothing those whose time is over.
  void end_late(queue_stream& of, std::int64_t now_ms);
  void end_all(queue_stream& of) { end_late(of, std::numeric_limits<std::int64_t>::max()); }
  /// Likewise the wait of that name.
  void end_named(queue_stream& of, std::uint64_t wait_id);

 private:
  template <class Predicate>
  void end_if(queue_stream& of, Predicate ends);
  void show() const;

  queue_context& context_;
  std::size_t waiting_ = 0; // over all streams
};

} // namespace penstock
