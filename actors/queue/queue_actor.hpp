// The embedded queue: one actor for all its streams. What it decides is in queue_state.hpp.
#pragma once

#include "actors/base/lifecycle_messages.hpp"
#include "actors/journal/journal_messages.hpp"
#include "actors/queue/acknowledgements.hpp"
#include "actors/queue/queue_consumers.hpp"
#include "actors/queue/queue_context.hpp"
#include "actors/queue/queue_expiry.hpp"
#include "actors/queue/queue_messages.hpp"
#include "actors/queue/queue_reader.hpp"
#include "actors/queue/queue_streams.hpp"
#include "actors/queue/unnamed_dead_letters.hpp"

#include <chrono>
#include <string>
#include <vector>

namespace penstock {

/// Statistics, and what the keeper may retire, are told this often.
inline constexpr std::chrono::milliseconds queue_upkeep_interval{1000};

/// Answers queue_receive, queue_receipts, queue_replay, queue_stats_request; takes fetch_reply.
/// On `drain` it answers who waits, saves the cursors, answers `drained` and quits. It blocks on
/// the disk: spawn it detached.
///
/// It puts its parts together: what a message means to each of them, and in which order.
class queue_actor_state {
 public:
  static constexpr const char* name = "queue"; // CAF shows it
  using self_ptr = queue_self::stateful_pointer<queue_actor_state>;

  explicit queue_actor_state(self_ptr self);
  queue_actor_state(const queue_actor_state&) = delete;
  queue_actor_state& operator=(const queue_actor_state&) = delete;

  void start(queue_parts parts);

  void on_receive(queue_receive request, caf::response_promise promise);
  void on_stop_waiting(const queue_stop_waiting& request);
  void on_receipts(const queue_receipts& request, caf::response_promise promise);
  queue_delivery_ptr on_replay(const queue_replay& request);
  queue_stats_reply on_stats(const queue_stats_request& request);
  void on_fetched(const fetch_reply& reply);
  void on_wake(const wake_up& wake);
  void change_rules(const stream_rules& rule_of) { context_.parts.space_rule = rule_of; }
  void on_upkeep();
  void on_drain();

 private:
  queue_receipts_done settle(queue_stream& of, const queue_receipts& request);
  void tell_journal(const std::vector<queue_stats>& all) const;

  // Each part knows those above it that it is given.
  queue_context context_;
  queue_streams streams_;
  queue_reader reader_;
  queue_consumers consumers_;
  acknowledgements acks_;
  queue_expiry expiry_;
  unnamed_dead_letters unnamed_;
};

queue_self::behavior_type queue_actor(queue_self::stateful_pointer<queue_actor_state> self,
                                      queue_parts parts);

} // namespace penstock
