// The publisher: one actor a sink, which moves all streams that feed it from the journal to the
// sink.
#pragma once

#include "actors/base/lifecycle_messages.hpp"
#include "actors/delivery/again_jobs.hpp"
#include "actors/delivery/batch_dispatcher.hpp"
#include "actors/delivery/cursor_saver.hpp"
#include "actors/delivery/dead_letter_sender.hpp"
#include "actors/delivery/delivery_messages.hpp"
#include "actors/delivery/held_streams.hpp"
#include "actors/delivery/publish_answers.hpp"
#include "actors/delivery/publisher_context.hpp"
#include "actors/delivery/publisher_lanes.hpp"
#include "actors/delivery/publisher_streams.hpp"
#include "actors/delivery/sink_health.hpp"
#include "actors/delivery/stream_expiry.hpp"
#include "actors/delivery/stream_reader.hpp"

#include <chrono>
#include <cstdint>
#include <string>

namespace penstock {

inline constexpr std::chrono::milliseconds publisher_upkeep_interval{1000};
/// A drain waits so long for batches under way before it asks the sink to give up.
inline constexpr std::chrono::milliseconds publisher_drain_time{3000};

/// Takes fetch_reply, stream_seen, lane_delivered, deliver_again_ptr (answered with again_done),
/// await_published_ptr, publish_rest (answered with publish_left). On `drain` it waits for
/// the batches under way, saves the cursors, answers `drained` and quits. It blocks on the disk:
/// spawn it detached.
///
/// It puts its parts together: what a message means to each of them, and in which order.
class publisher_state {
 public:
  static constexpr const char* name = "publisher"; // CAF shows it
  using self_ptr = publisher_self::stateful_pointer<publisher_state>;

  explicit publisher_state(self_ptr self);
  publisher_state(const publisher_state&) = delete;
  publisher_state& operator=(const publisher_state&) = delete;

  void start(publisher_parts parts);

  void on_stream_seen(const std::string& stream);
  void on_fetched(const fetch_reply& reply) { reader_.on_fetched(reply); }
  void on_delivered(const lane_delivered& update);
  void on_again(const deliver_again_ptr& request, caf::response_promise promise) {
    again_.begin(request, std::move(promise));
  }
  void on_await(const await_published_ptr& request);
  void on_wake(const wake_up& wake);
  void change_rules(const stream_rules& rule_of) { context_.parts.space_rule = rule_of; }
  void on_upkeep();
  publish_left on_publish_rest();
  void on_drain(caf::response_promise promise);
  void give_up() { context_.parts.stop_sink(); }

 private:
  void judge(const lane_delivered& update, publisher_stream* of, bool was_probe);
  void sink_answered();
  void change_state(sink_state to);
  void settle(std::uint32_t lane, publisher_stream& of, const delivery& outcome);
  void on_dead_letters_stored(unstored_dead_letters& from, const dead_letters_stored& update);
  void condemn_all();
  void forget_idle(std::uint64_t durable, const publisher_streams::newest_map& newest);
  void publish_status();
  void finish_drain_if_idle();

  // Each part knows those above it that it is given.
  publisher_context context_;
  publisher_streams streams_;
  publish_answers answers_;
  cursor_saver saver_;
  dead_letter_sender letters_;
  sink_health health_;
  publisher_lanes lanes_;
  held_streams holds_;
  batch_dispatcher dispatcher_;
  stream_reader reader_;
  stream_expiry expiry_;
  again_jobs again_;
  caf::response_promise drained_; // pending in a drain, until no batch is under way
};

publisher_self::behavior_type publisher(publisher_self::stateful_pointer<publisher_state> self,
                                        publisher_parts parts);

} // namespace penstock
