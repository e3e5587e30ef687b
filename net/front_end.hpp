// The front end: an actor and its connections on one thread. Parse, identify, admit, hand to the
// journal, answer.
#pragma once

#include "actors/metrics.hpp"
#include "actors/node_state.hpp"
#include "actors/usage_messages.hpp"
#include "actors/usage_tally.hpp"
#include "net/answer.hpp"
#include "net/event_body.hpp"
#include "net/hosted_actor.hpp"
#include "net/identity.hpp"
#include "net/messages.hpp"
#include "net/session.hpp"
#include "net/stream_name.hpp"
#include "net/turn_batch.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// What a front end is made of; everything outlives it.
struct front_end_parts {
  event_loop& loop;
  http_settings http;          ///< max_in_flight is this front end's share
  std::shared_ptr<const identifier> identify;
  ingest_rules_ptr rules;
  node_state& node;
  front_end_metrics& metrics;
  caf::actor journal;
  std::vector<caf::actor> limiters;       ///< this node's; shard s belongs to limiters[s % size]
  std::vector<std::uint16_t> shard_owner; ///< shard → member; all self_member when alone
  std::uint16_t self_member = 0;
  unreachable_policy on_unreachable = unreachable_policy::local;
  std::chrono::milliseconds verdict_timeout_ms{500};
  caf::actor usage{};                     ///< takes usage_batch_ptr; null: usage is not counted
};

/// State of the front-end actor. A request's path:
///   on_request → take_event/take_lines   (front_end_requests.cpp)  parse, identify, into a batch
///   after_io → ask_limiters              (front_end_admission.cpp) one message a limiter
///   on_verdicts → to_journal             (front_end_admission.cpp) one message to the journal
///   on_durable → answer_…                (front_end_answers.cpp)   202
class front_end final : public request_handler, public io_handler, public loop_client {
 public:
  front_end(front_end_parts parts, caf::event_based_actor* self);
  ~front_end();

  caf::behavior make_behavior();

  /// Serves connections that arrive at a listening, non-blocking socket; takes it over.
  void listen(int fd);

  // request_handler
  void on_request(session& from, const request_parser& parser) override;
  void on_bad_request(session& from, unsigned status, std::string_view detail) override;
  void on_overload(session& from) override;
  void on_output(session& from) override { to_flush_.push_back(&from); }
  void on_closed(session& from) override;

  // io_handler: the listening socket
  void on_io(std::uint32_t) override;

  // loop_client
  void after_io() override;
  void end_turn() override;
  void on_tick() override;

 private:
  /// A limiter that requests may be sent to: one of ours, or one of a peer's.
  struct destination {
    caf::actor limiter;  ///< null: can't be reached now
    std::uint16_t member = 0;
    std::unique_ptr<turn_batch> open;
  };

  // -- front_end_requests.cpp ----------------------------------------------------------------------
  void on_events(session& from, const request_parser& parser, std::string_view path);
  void take_event(waiting_request& r, turn_batch& batch, const request_head& head,
                  std::string_view stream, std::string_view body, std::uint64_t client);
  void take_lines(waiting_request& r, turn_batch& batch, const request_head& head,
                  std::string_view stream, std::string_view body, std::uint64_t client);
  std::optional<problem> check(const request_parser& parser, std::string_view stream,
                               body_kind kind);
  const stream_settings& stream_settings_of(std::string_view stream) const;
  void note_in_flight(turn_batch& batch, std::size_t bytes);
  bool shed(session& from, const request_parser& parser);
  void answer_health(session& from, const request_parser& parser, std::string_view path,
                     std::string_view query);
  void answer_and_close(session& from, const problem& what, std::uint32_t retry_after_s = 0);
  void answer_now(session& from, const request_parser& parser, const problem& what,
                  std::uint32_t retry_after_s = 0, std::string_view allow = {});
  turn_batch& open_batch(std::uint16_t to);
  std::uint32_t block_for(turn_batch& batch, std::string_view stream, std::size_t events,
                          std::size_t bytes);
  waiting_request& open_request(session& from, const request_parser& parser, turn_batch& batch,
                                std::uint64_t client);

  // -- front_end_admission.cpp ---------------------------------------------------------------------
  void place_destinations();
  void ask_limiters();
  void ask(const caf::actor& limiter, std::unique_ptr<turn_batch> batch);
  void fall_back(std::unique_ptr<turn_batch> batch);
  void on_verdicts(const admit_reply& reply);
  void apply(std::unique_ptr<turn_batch> batch);
  void drop_refused(turn_batch& batch);
  void to_journal(std::unique_ptr<turn_batch> batch);
  void hand_over(append_batch_ptr append);
  void send_held();
  void on_durable(const append_done& done);
  void on_peer_up(const peer_up& news);
  void on_peer_down(const peer_down& news);
  void check_verdict_timeouts();

  // -- front_end_usage.cpp -------------------------------------------------------------------------
  void note_usage(turn_batch& batch, const session& from, const request_head& head,
                  std::string_view stream, std::string_view account = {},
                  std::string_view key = {});
  void count_usage(const turn_batch& batch);
  void hand_over_usage_if_due();
  void hand_over_usage();

  // -- front_end_answers.cpp -----------------------------------------------------------------------
  bool still_there(const waiting_request& r) const;
  answer_context context_of(const waiting_request& r) const;
  template <class Write>
  void answer(waiting_request& r, unsigned status, Write&& write);
  void answer_not_taken(turn_batch& batch, waiting_request& r);
  void answer_capacity(waiting_request& r);
  void answer_accepted(turn_batch& batch, waiting_request& r);
  void answer_failed(waiting_request& r, const error& why);
  std::string batch_summary(const turn_batch& batch, const waiting_request& r) const;
  void release(std::unique_ptr<turn_batch> batch);

  std::int64_t wall_time_ms();

  // -- front_end.cpp -------------------------------------------------------------------------------
  void accept_all();
  void pause_accepting();
  void resume_accepting();
  void adopt(int fd, const ip_address& peer);
  void begin_drain();
  void finish_drain_if_idle();

  front_end_parts parts_;
  caf::event_based_actor* self_;
  ingest_rules_ptr rules_;
  answer_writer writer_;
  json_checker json_;
  usage_hasher usage_hash_;
  usage_tally usage_;
  std::int64_t usage_since_ms_ = 0;  // wall clock of the last hand-over
  std::size_t unfinished_body_bytes_ = 0;
  session_environment env_;
  int listen_fd_ = -1;
  bool accepting_ = true;
  stream_names streams_;
  std::int64_t time_ms_ = 0;     // wall clock of the turn that began at…
  std::int64_t time_at_ns_ = 0;  // …this steady time

  std::vector<std::unique_ptr<session>> sessions_;  // all that ever were open; reused
  std::vector<session*> free_sessions_;
  std::vector<session*> closed_;    // of this turn: free at its end
  std::vector<session*> to_flush_;

  std::vector<destination> destinations_;
  std::vector<std::uint16_t> destination_of_;  // shard → destination
  std::uint64_t next_token_ = 1;
  boost::unordered_flat_map<std::uint64_t, std::unique_ptr<turn_batch>> awaiting_verdict_;
  boost::unordered_flat_map<std::uint64_t, std::unique_ptr<turn_batch>> awaiting_disk_;
  std::vector<append_batch_ptr> held_;  // of ack = "received" streams, to go together
  std::size_t held_events_ = 0;
  std::int64_t held_until_ns_ = 0;
  std::size_t in_flight_bytes_ = 0;
  std::vector<std::unique_ptr<turn_batch>> spare_batches_;
  std::vector<block_ptr> spare_blocks_;
  bool draining_ = false;
  caf::response_promise drained_;
};

struct front_end_state {
  std::unique_ptr<front_end> impl;
  const char* name = "front_end";
};

/// Starts a front end on parts.loop, serving `listen_fd`, a listening, non-blocking socket that it
/// takes over. Answers `drain` with `drained` when its last connection is closed.
caf::actor spawn_front_end(caf::actor_system& sys, front_end_parts parts, int listen_fd);

} // namespace penstock
