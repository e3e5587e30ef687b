// The front end: an actor and its connections on one thread. Parse, identify, admit, hand to the
// journal, answer.
#pragma once

#include "actors/accounts/account_messages.hpp"
#include "actors/base/extension_messages.hpp"
#include "actors/base/node_state.hpp"
#include "net/base/wall_time.hpp"
#include "net/clients/identity.hpp"
#include "net/http/address_counts.hpp"
#include "net/http/front_end_metrics.hpp"
#include "net/http/http_settings.hpp"
#include "net/http/session.hpp"
#include "net/ingest/acceptor.hpp"
#include "net/ingest/ack_waits.hpp"
#include "net/ingest/batch_pool.hpp"
#include "net/ingest/callers.hpp"
#include "net/ingest/claim_answers.hpp"
#include "net/ingest/claim_settler.hpp"
#include "net/ingest/cluster_routes.hpp"
#include "net/ingest/forward_receiver.hpp"
#include "net/ingest/forward_sender.hpp"
#include "net/ingest/idempotency_client.hpp"
#include "net/ingest/ingest_messages.hpp"
#include "net/ingest/journal_client.hpp"
#include "net/ingest/lane_context.hpp"
#include "net/ingest/limiter_client.hpp"
#include "net/ingest/limits_endpoint.hpp"
#include "net/ingest/publish_waits.hpp"
#include "net/ingest/request_intake.hpp"
#include "net/ingest/responder.hpp"
#include "net/ingest/served_rules.hpp"
#include "net/ingest/usage_recorder.hpp"
#include "net/interfaces/interfaces.hpp"
#include "net/loop/hosted_actor.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
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
  journal_handle journal;
  std::vector<limiter_handle> limiters; ///< this node's; shard s is asked of limiters[s % size]
  placement_ptr places;                 ///< null: the node is alone
  std::uint16_t self_member = 0;        ///< this node's number there
  std::chrono::milliseconds verdict_timeout_ms{500}; ///< of a question how limits stand
  usage_handle usage{}; ///< takes usage_batch_ptr; null: usage is not counted
  /// This node's; key shard s belongs to idempotency[s % size]. Empty: no key is looked at.
  std::vector<idempotency_handle> idempotency{};
  std::shared_ptr<const idempotency_hasher> hash_keys{};
  std::function<std::int64_t()> wall_ms = penstock::wall_ms; ///< read at most once a turn
  /// By the names of the sinks that have one; the others are embedded.
  publishers_by_sink publishers{};
  replicator_handle replicator{}; ///< null: the node is alone
  /// How long a drain may take; shortly before, what still waits for sinks is answered.
  std::chrono::milliseconds drain_timeout_ms{30'000};
  std::size_t max_publish_waits = penstock::max_publish_waits;
  std::shared_ptr<address_counts> per_address{}; ///< of the node; null: not counted
  /// All lanes' of a node.
  std::shared_ptr<stream_names> names = std::make_shared<stream_names>();
};

/// State of the front-end actor. It owns its parts, each with a state of its own; a part knows only
/// those that come behind it on a request's path, so that data flows one way:
///
///   acceptor, session       who is let in; bytes into requests
///   request_intake          shed, callers (who, by which plan), event_intake (check, take)
///   idempotency_client      a request that carries a key claims it first, in a batch of its own;
///     forward_sender        a key of another node's takes its events there, where
///     forward_receiver      they come in
///   limiter_client          one message a limiter, and its verdicts
///   journal_client          one message to the journal, and its word
///   claim_settler           what became of keys
///   ack_waits               streams with ack = "published" or "replicated": until sinks, or a
///                           second node, have the events
///   responder, claim_answers  what the client is told
///
/// All of them use lane_context, served_rules, cluster_routes, batch_pool and usage_recorder.
class front_end final : public request_handler, public loop_client {
 public:
  front_end(front_end_parts parts, ingest_handle::pointer self);
  ~front_end();
  front_end(const front_end&) = delete;
  front_end& operator=(const front_end&) = delete;

  ingest_handle::behavior_type make_behavior();

  /// Takes over a listening, non-blocking socket. Connections that arrive at it are served once
  /// caf::open_atom has come.
  void take_listener(int fd) { acceptor_.take_listener(fd); }

  // request_handler
  void on_request(session& from, const request_parser& parser) override;
  bool on_header(session& from, const request_parser& parser) override;
  void on_bad_request(session& from, unsigned status, std::string_view detail) override;
  void on_overload(session& from, shed_reason why) override;
  void on_output(session& from) override { acceptor_.on_output(from); }
  void on_more(session& from) override { acceptor_.on_more(from); }
  void on_closed(session& from) override { acceptor_.on_closed(from); }

  // loop_client
  void after_io() override;
  void end_turn() override;
  void on_tick() override;

 private:
  void on_usage(session& from, const request_parser& parser, std::string_view query);
  void set_placement(const placement_ptr& places);
  void on_peer_up(const peer_up& update);
  void on_peer_down(const peer_down& update);
  void begin_drain(std::chrono::milliseconds timeout_ms);
  void finish_drain_if_idle();

  front_end_parts parts_;
  lane_context lane_;
  cluster_routes cluster_;
  served_rules rules_;
  responder responder_;
  claim_answers claim_answers_;
  batch_pool pool_;
  usage_recorder usage_;
  ack_waits waits_;
  claim_settler settler_;
  journal_client journal_;
  limiter_client limiters_;
  forward_sender forwards_;
  idempotency_client claims_;
  forward_receiver forward_receiver_;
  callers callers_;
  request_intake intake_;
  limits_endpoint limits_;
  acceptor acceptor_;
  caf::response_promise drained_;
};

struct front_end_state {
  std::unique_ptr<front_end> impl;
  const char* name = "front_end";
};

/// Starts a front end on parts.loop. From its first caf::open_atom on it serves `listen_fd`, a
/// listening, non-blocking socket that it takes over. Answers `drain` with `drained` when its last
/// connection is closed.
ingest_handle spawn_front_end(caf::actor_system& sys, front_end_parts parts, int listen_fd);

} // namespace penstock
