// The front end: an actor and its connections on one thread. Parse, identify, admit, hand to the
// journal, answer.
#pragma once

#include "actors/accounts/account_messages.hpp"
#include "actors/base/extension_messages.hpp"
#include "actors/base/node_state.hpp"
#include "actors/base/unpublished.hpp"
#include "actors/cluster/link_messages.hpp"
#include "actors/journal/journal_messages.hpp"
#include "actors/limits/limit_messages.hpp"
#include "actors/streams/stream_settings.hpp"
#include "actors/usage/usage_messages.hpp"
#include "actors/usage/usage_tally.hpp"
#include "net/base/wall_time.hpp"
#include "net/http/address_counts.hpp"
#include "net/http/answer.hpp"
#include "net/http/event_body.hpp"
#include "net/http/front_end_metrics.hpp"
#include "net/http/http_settings.hpp"
#include "net/http/session.hpp"
#include "net/ingest/cloud_events.hpp"
#include "net/ingest/idempotency_key.hpp"
#include "net/ingest/identity.hpp"
#include "net/ingest/ingest_messages.hpp"
#include "net/ingest/publish_waits.hpp"
#include "net/ingest/served_plans.hpp"
#include "net/ingest/served_streams.hpp"
#include "net/ingest/turn_batch.hpp"
#include "net/loop/hosted_actor.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// What a front end is made of; everything outlives it.
struct front_end_parts {
  event_loop& loop;
  http_settings http; ///< max_in_flight is this front end's share
  std::shared_ptr<const identifier> identify;
  ingest_rules_ptr rules;
  access_table_ptr access; ///< these two until accounts_changed brings others
  plan_set_ptr plans;
  node_state& node;
  front_end_metrics& metrics;
  caf::actor journal;
  std::vector<caf::actor> limiters; ///< this node's; shard s is asked of limiters[s % size]
  placement_ptr places;             ///< null: the node is alone
  std::uint16_t self_member = 0;    ///< this node's number there
  std::chrono::milliseconds verdict_timeout_ms{500}; ///< of a question how limits stand
  caf::actor usage{}; ///< takes usage_batch_ptr; null: usage is not counted
  /// This node's; key shard s belongs to idempotency[s % size]. Empty: no key is looked at.
  std::vector<caf::actor> idempotency{};
  std::shared_ptr<const idempotency_hasher> hash_keys{};
  std::function<std::int64_t()> wall_ms = penstock::wall_ms; ///< read at most once a turn
  /// By the names of the sinks that have one; the others are embedded.
  std::map<std::string, caf::actor, std::less<>> publishers{};
  caf::actor replicator{}; ///< null: the node is alone
  /// How long a drain may take; shortly before, what still waits for sinks is answered.
  std::chrono::milliseconds drain_timeout_ms{30'000};
  std::size_t max_publish_waits = penstock::max_publish_waits;
  std::shared_ptr<address_counts> per_address{}; ///< of the node; null: not counted
  /// All lanes' of a node.
  std::shared_ptr<stream_names> names = std::make_shared<stream_names>();
};

/// State of the front-end actor. A request's path:
///   accept_all → take_or_close, on_header (front_end_entry.cpp)    who may come at all
///   on_request → on_events               (front_end_requests.cpp)  identify, check
///   take_event, take_lines, …            (front_end_take.cpp)      into a batch
///   after_io → ask_limiters              (front_end_admission.cpp) one message a limiter
///   on_verdicts → to_journal             (front_end_admission.cpp) one message to the journal
///   on_durable → answer_…                (front_end_answers.cpp)   202
/// On a stream with ack = "published" or "replicated" it waits in between until the sinks, or a
/// second node, have its events (front_end_published.cpp).
/// One that carries an idempotency key (front_end_claims.cpp) claims it first, in a batch of its
/// own, and joins the others' path at admit; a key of another node's takes its events there
/// (front_end_forward.cpp).
class front_end final : public request_handler, public io_handler, public loop_client {
 public:
  front_end(front_end_parts parts, caf::event_based_actor* self);
  ~front_end();

  caf::behavior make_behavior();

  /// Takes over a listening, non-blocking socket. Connections that arrive at it are served once
  /// caf::open_atom has come.
  void take_door(int fd) { closed_fd_ = fd; }

  // request_handler
  void on_request(session& from, const request_parser& parser) override;
  bool on_header(session& from, const request_parser& parser) override;
  void on_bad_request(session& from, unsigned status, std::string_view detail) override;
  void on_overload(session& from, shed_reason why) override;
  void on_output(session& from) override { to_flush_.push_back(&from); }
  void on_more(session& from) override;
  void on_closed(session& from) override;

  // io_handler: the listening socket
  void on_io(std::uint32_t) override;

  // loop_client
  void after_io() override;
  void end_turn() override;
  void on_tick() override;

 private:
  /// Requests that may be sent to a limiter together.
  struct destination {
    caf::actor limiter;
    bool foreign = false; ///< of clients that other nodes count
    std::unique_ptr<turn_batch> open;
  };

  // -- front_end_entry.cpp ------------------------------------------------------------------------
  void take_or_close(int fd, const ip_address& peer);
  std::optional<problem> barred(const identity& who);

  // -- front_end_requests.cpp ---------------------------------------------------------------------
  static bool is_for_clients(std::string_view path);
  /// Who sent a request, under which plan; nothing when it has been answered with an error.
  struct caller {
    identity who;
    served_plan* plan = nullptr;
  };
  /// `stream`: none for what is not for a stream.
  std::optional<caller> identify(session& from, const request_parser& parser,
                                 std::optional<std::string_view> stream);
  void on_events(session& from, const request_parser& parser, std::string_view path);
  /// A request's events before they are in a block.
  struct incoming {
    const request_head& head;
    std::string_view stream;
    std::string_view body;
    const identity& who;
    std::uint64_t client = 0;
    body_kind kind = body_kind::opaque;
    bool binary = false;   ///< a CloudEvent in binary mode
    bool has_key = false;  ///< Idempotency-Key, which is in key_
    bool is_keyed = false; ///< by that, or by what its CloudEvents say
    /// Reserved for its stream, whose name is new; none when it is not.
    std::uint32_t name_place = stream_names::no_place;
  };
  std::optional<problem> check(const request_parser& parser, incoming& in);
  std::optional<problem> check_body(incoming& in);
  std::optional<problem> check_key(incoming& in);
  std::optional<problem> check_name(incoming& in);
  void settle_name(waiting_request& r, bool stored);
  bool shed(session& from, const request_parser& parser, std::string_view stream);
  void answer_health(session& from, const request_parser& parser, std::string_view path,
                     std::string_view query);
  void answer_and_close(session& from, const problem& what, std::uint32_t retry_after_s = 0);
  void answer_now(session& from, const request_parser& parser, const problem& what,
                  std::uint32_t retry_after_s = 0, std::string_view allow = {});
  const stream_settings& stream_settings_of(std::string_view stream) const;
  std::optional<problem> stream_is_full(std::string_view stream) const;
  turn_batch& open_batch(std::uint16_t to);
  std::unique_ptr<turn_batch> new_batch(std::uint16_t to);
  waiting_request& open_request(session& from, const request_parser& parser, turn_batch& batch,
                                admit_item item, served_plan& plan);
  std::uint32_t block_for(turn_batch& batch, std::string_view stream, std::size_t events,
                          std::size_t bytes);
  void note_in_flight(turn_batch& batch, std::size_t bytes);
  void show_in_flight();

  // -- front_end_take.cpp -------------------------------------------------------------------------
  void take_event(waiting_request& r, turn_batch& batch, const incoming& in);
  void take_lines(waiting_request& r, turn_batch& batch, const incoming& in);
  void take_cloud_events(waiting_request& r, turn_batch& batch, const incoming& in);
  request_details& begin_batch(waiting_request& r, turn_batch& batch, const incoming& in);
  void end_batch(waiting_request& r, turn_batch& batch, const incoming& in);
  void tell_sizes(turn_batch& batch);

  // -- front_end_admission.cpp --------------------------------------------------------------------
  void place_destinations();
  void set_placement(const placement_ptr& places);
  void ask_limiters();
  void admit(std::unique_ptr<turn_batch> batch);
  void ask(std::unique_ptr<turn_batch> batch);
  void on_verdicts(const admit_reply& reply);
  void take_verdict(waiting_request& r, const verdict& state);
  void tell_verdicts(const turn_batch& batch);
  void apply(std::unique_ptr<turn_batch> batch);
  void drop_refused(turn_batch& batch);
  void to_journal(std::unique_ptr<turn_batch> batch);
  void hand_over(append_batch_ptr append);
  void send_held();
  void on_durable(const append_done& done);
  void on_peer_up(const peer_up& news);
  void on_peer_down(const peer_down& news);

  // -- front_end_limits.cpp -----------------------------------------------------------------------
  /// A GET /v1/usage that waits for the limiter.
  struct limits_question {
    session* from = nullptr;
    std::uint32_t generation = 0;
    std::uint32_t exchange = 0;
    answer_context context;
    std::int64_t sent_ns = 0;
    std::string account;
    served_plan* plan = nullptr;
    std::shared_ptr<served_plans> plans; ///< keeps `plan` alive
  };
  void on_usage(session& from, const request_parser& parser, std::string_view query);
  void on_limits(const limits_reply& reply);
  void answer_limits(limits_question& question, const std::vector<limit_status>& limits);
  template <class Lost>
  void answer_lost_questions(Lost lost);
  void drop_late_questions(std::int64_t oldest_ns);

  // -- front_end_usage.cpp ------------------------------------------------------------------------
  void note_usage(turn_batch& batch, const identity& who, const request_head& head,
                  std::string_view stream);
  void count_usage(const turn_batch& batch, bool stored);
  void count_claimed_usage(const turn_batch& batch);
  void hand_over_usage_if_due();
  void hand_over_usage();

  // -- front_end_claims.cpp -----------------------------------------------------------------------
  /// A batch whose keys were claimed; it is here, or on the path of the others.
  struct claimed_batch {
    turn_batch* batch = nullptr;
    std::unique_ptr<turn_batch> parked;
  };
  void add_claim(turn_batch& batch, waiting_request& r, const incoming& in,
                 const cloud_event* event, std::string_view body, std::uint32_t line,
                 std::uint32_t first, std::uint32_t count);
  void claim(std::unique_ptr<turn_batch> batch);
  void on_claims(const claim_reply& reply);
  void take_verdicts(std::uint64_t token, const std::vector<claim_verdict>& verdicts,
                     std::string_view tag);
  void decided(std::uint64_t token);
  void hold_back_later(request_claims& claims);
  void refuse_full(request_claims& claims, std::string_view stream);
  void fail_ungranted(turn_batch& batch);
  void settle_stored(turn_batch& batch, const append_done& done);
  void tell_index(const event_claim& claim, const claim_outcome& outcome);
  void conclude(std::unique_ptr<turn_batch> batch);
  void give_up_claims(std::uint64_t token, std::optional<std::uint16_t> member);
  void check_claim_timeouts();

  // -- front_end_forward.cpp ----------------------------------------------------------------------
  void forward_others(turn_batch& batch);
  bool is_linked(std::uint16_t member) const;
  bool may_link(std::uint16_t member) const;
  void send_forward(std::uint16_t member, forward_request&& request);
  void send_unsent_forwards(std::uint16_t member);
  void drop_late_forwards();
  const caf::actor* later_owner(const forward_request& request) const;
  void on_forward(const forward_request& request);
  void on_key_rows(const key_rows& rows);
  void on_forward_reply(const forward_reply& reply);
  void answer_origin(const waiting_request& r, const request_claims& claims);

  // -- front_end_published.cpp --------------------------------------------------------------------
  bool feeds_publisher(const stream_settings& settings) const;
  ack_level ack_of(const incoming& in) const;
  std::unique_ptr<publish_wait> take_out(turn_batch& batch, waiting_request& r);
  void await_sinks(turn_batch& batch);
  void await_claimed(std::unique_ptr<turn_batch> batch);
  void begin_wait(const std::string& stream, await_published::item events,
                  std::unique_ptr<publish_wait> wait);
  void ask_whom_they_wait_for();
  void on_published(const published_news& news);
  void end_late_waits();
  void hurry_waits();
  void end_wait(publish_wait& wait, unpublished lack);
  void count_wait(ack_level level, unpublished lack);
  void note_waits(std::size_t bytes_before);

  // -- front_end_answers.cpp, front_end_claim_answers.cpp -----------------------------------------
  bool still_there(const waiting_request& r) const;
  answer_context context_of(const waiting_request& r) const;
  template <class Write>
  void answer(waiting_request& r, unsigned status, Write&& write);
  void answer_not_taken(waiting_request& r, const request_details* details);
  void answer_capacity(waiting_request& r);
  void answer_accepted(turn_batch& batch, waiting_request& r);
  void answer_stored(waiting_request& r, const request_details* details, std::uint64_t seq,
                     std::string_view tag);
  void answer_unpublished(waiting_request& r, std::string members, unpublished_policy policy,
                          bool has_key);
  static problem not_stored(const error& why);
  void answer_failed(waiting_request& r, const error& why);
  static std::string batch_summary(const waiting_request& r, const request_details& details,
                                   std::uint64_t first_seq, std::string_view tag);
  static std::string stored_members(const waiting_request& r, const request_details* details,
                                    std::uint64_t first_seq, std::string_view tag);
  void answer_claimed(waiting_request& r, const request_details& details);
  void answer_one_claim(waiting_request& r, const request_details& details);
  void answer_each_claim(waiting_request& r, const request_details& details);
  void release(std::unique_ptr<turn_batch> batch);

  std::int64_t wall_time_ms();
  void set_plans(const plan_set_ptr& plans);

  // -- front_end.cpp ------------------------------------------------------------------------------
  void open_door();
  void accept_all();
  void pause_accepting();
  void resume_accepting();
  void adopt(int fd, const ip_address& peer);
  void begin_drain();
  void finish_drain_if_idle();
  void let_go_of_slow_clients();

  front_end_parts parts_;
  caf::event_based_actor* self_;
  ingest_rules_ptr rules_;
  refused_streams_ptr refused_streams_; // null: all are taken
  access_table_ptr access_;
  std::shared_ptr<served_plans> plans_;
  std::shared_ptr<served_plans> plans_before_; // limiters may still decide by them; may be null
  answer_writer writer_;
  json_checker json_;
  usage_hasher usage_hash_;
  usage_tally usage_;
  std::int64_t usage_since_ms_ = 0; // wall clock of the last hand-over
  cloud_event_reader cloud_events_;
  cloud_event event_; // of the request that is being taken in
  std::string key_;   // likewise
  lane_memory memory_;
  session_environment env_;
  int listen_fd_ = -1;
  int closed_fd_ = -1; // the same before it is open
  bool accepting_ = true;
  served_streams streams_;
  std::int64_t time_ms_ = 0;    // wall clock of the turn that began at…
  std::int64_t time_at_ns_ = 0; // …this steady time

  std::vector<std::unique_ptr<session>> sessions_; // all that ever were open; reused
  std::vector<session*> free_sessions_;
  std::vector<session*> closed_; // of this turn: free at its end
  std::vector<session*> to_flush_;
  /// A connection that waits for a later turn; another generation: it is gone.
  struct waiting_session {
    session* who;
    std::uint32_t generation;
  };
  std::deque<waiting_session> to_go_on_; // in the order in which they had their share

  placement_ptr places_;
  std::vector<destination> destinations_;
  std::vector<std::uint16_t> destination_of_; // shard → destination
  std::uint64_t next_token_ = 1;
  boost::unordered_flat_map<std::uint64_t, std::unique_ptr<turn_batch>> awaiting_verdict_;
  boost::unordered_flat_map<std::uint64_t, std::unique_ptr<turn_batch>> awaiting_disk_;
  boost::unordered_flat_map<std::uint64_t, limits_question> asking_;
  std::vector<append_batch_ptr> held_; // of ack = "received" streams, to go together
  std::size_t held_events_ = 0;
  std::int64_t held_until_ns_ = 0;
  std::vector<std::unique_ptr<turn_batch>> spare_batches_;
  std::vector<block_ptr> spare_blocks_;
  boost::unordered_flat_map<std::uint64_t, claimed_batch> claimed_;
  std::vector<std::vector<caf::actor>> peer_front_ends_; // by member
  /// For an owner that is not linked yet, for verdict_timeout_ms at most; as many, and as large, as
  /// max_in_flight_bytes lets be under way.
  struct unsent_forward {
    std::uint16_t member = 0;
    std::int64_t since_ns = 0;
    std::size_t bytes = 0; ///< counted
    forward_request what;
  };
  std::deque<unsent_forward> unsent_forwards_;
  feed<turn_verdicts> verdicts_told_; // to extensions
  publish_waits waits_;
  /// Of this turn: one a stream and level.
  struct wait_question {
    ack_level level;
    std::shared_ptr<await_published> what;
  };
  std::vector<wait_question> to_ask_;
  bool draining_ = false;
  caf::response_promise drained_;
};

template <class Write>
void front_end::answer(waiting_request& r, unsigned status, Write&& write) {
  r.answered = true;
  parts_.metrics.count_status(status);
  auto took_ns = parts_.loop.now_ns() - r.start_ns;
  parts_.metrics.request_us.observe(static_cast<std::uint64_t>(took_ns / 1000));
  if (!still_there(r)) return;
  write(r.from->begin_answer(r.exchange));
  r.from->end_answer(r.exchange);
}

struct front_end_state {
  std::unique_ptr<front_end> impl;
  const char* name = "front_end";
};

/// Starts a front end on parts.loop. From its first caf::open_atom on it serves `listen_fd`, a
/// listening, non-blocking socket that it takes over. Answers `drain` with `drained` when its last
/// connection is closed.
caf::actor spawn_front_end(caf::actor_system& sys, front_end_parts parts, int listen_fd);

} // namespace penstock
