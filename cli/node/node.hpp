// A running node: every actor, thread and socket of it, wired together here and nowhere else.
#pragma once

#include "actors/accounts/accounts_actor.hpp"
#include "actors/base/drain_status.hpp"
#include "actors/base/memory_budget.hpp"
#include "actors/base/node_state.hpp"
#include "actors/cluster/link_messages.hpp"
#include "actors/cluster/membership_actor.hpp"
#include "actors/cluster/membership_messages.hpp"
#include "actors/cluster/peer_connector.hpp"
#include "actors/dead_letters/dead_letters_actor.hpp"
#include "actors/dead_letters/replay_actor.hpp"
#include "actors/delivery/publisher.hpp"
#include "actors/idempotency/idempotency_actor.hpp"
#include "actors/journal/journal_actor.hpp"
#include "actors/journal/journal_metrics.hpp"
#include "actors/limiter/counters_actor.hpp"
#include "actors/limiter/limiter.hpp"
#include "actors/queue/queue_actor.hpp"
#include "actors/queue/queue_metrics.hpp"
#include "actors/replication/replica_actor.hpp"
#include "actors/replication/replicator.hpp"
#include "actors/retention/backlog.hpp"
#include "actors/retention/retention_actor.hpp"
#include "actors/retention/retention_metrics.hpp"
#include "actors/streams/names_keeper.hpp"
#include "actors/usage/usage_actor.hpp"
#include "actors/usage/usage_metrics.hpp"
#include "actors/usage/usage_rebuilder.hpp"
#include "cli/config/config.hpp"
#include "cli/node/outgoing.hpp"
#include "net/admin/admin_server.hpp"
#include "net/http/front_end_metrics.hpp"
#include "net/ingest/front_end.hpp"
#include "net/links/cluster_tls.hpp"
#include "net/links/link_multiplexer.hpp"
#include "net/loop/listener.hpp"

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace penstock {

/// The plans of a configuration, by name.
std::vector<plan> plans_of(const config& settings);

/// Members are in the order they are made; the destructor undoes it. One thread uses a node (the
/// one that waits for signals).
class node {
 public:
  /// `settings`: after settle_memory(), else bounds are those of a large machine. `memory_source`:
  /// where the memory's size is from, in words. Opens what is on disk, starts all actors and listens. Errors: config, locked, unavailable, io.
  static result<std::unique_ptr<node>> start(const config& settings,
                                             std::string memory_source = {});
  ~node();
  node(const node&) = delete;
  node& operator=(const node&) = delete;

  /// Takes over what can change while running: plans, streams, log level.
  void reload(const config& settings);

  /// Ends what the node does, in the order of drain_stage (actors/base/drain_status.hpp): others take
  /// over, requests under way are answered, sinks get what they are owed, all that lasts is saved.
  /// Blocks until then, or the deadline. True when nothing was left; the board and the log say what
  /// was.
  bool drain();

  /// Where events are taken, e.g. "127.0.0.1:8080", also when port 0 was asked for.
  const std::string& http_address() const { return http_address_; }

 private:
  /// One thread of the request path, with the limiter and the front end that live on it.
  struct http_lane {
    event_loop* loop = nullptr;
    /// Null: the loop is that of the links between nodes, on CAF's thread for it.
    std::unique_ptr<event_loop> own_loop;
    listening_socket socket;
    std::shared_ptr<front_end_metrics> metrics = std::make_shared<front_end_metrics>();
    std::shared_ptr<limiter_metrics> limiter_counts = std::make_shared<limiter_metrics>();
    std::shared_ptr<limiter_cluster_metrics> cluster_counts; ///< null: the node is alone
    std::shared_ptr<idempotency_index> keys;
    std::shared_ptr<idempotency_metrics> key_counts = std::make_shared<idempotency_metrics>();
    caf::actor limiter;
    caf::actor idempotency; ///< null: idempotency.max_keys is 0
    caf::actor front_end;
    std::thread thread;
  };

  /// What a sink is owed at one moment of a drain.
  struct sink_debt {
    std::string sink;
    std::uint64_t events = 0;
  };

  node(const config& settings, std::string memory_source);

  result<void> open_storage();
  result<void> open_cursors();
  void tell_damage(const store_report& found);
  result<void> open_usage();
  result<void> open_accounts();
  result<void> open_idempotency();
  result<void> open_replicas();
  std::vector<sink_route> sink_routes() const;
  replica_adopted publish_replica_of(const adopt_replica& what);
  void tell_replicated_streams(const config& settings);
  void tell_space_rules(const config& settings);
  result<void> open_listeners();
  result<void> make_sinks();
  void start_storage_actors();
  void start_queue();
  result<void> start_delivery_keepers();
  void start_publishers();
  result<void> start_lanes();
  void give_loop(std::size_t lane);
  void end_lanes();
  void start_accounts();
  void start_names();
  stream_test is_configured() const;
  void start_usage_rebuilder();
  result<void> open_directory();
  void start_membership(const welcome& here);
  result<void> start_transport();
  result<void> start_cluster();
  void join_cluster();
  void reload_certificate();
  using deadline_t = std::chrono::steady_clock::time_point;
  // -- node_drain.cpp
  deadline_t begin_drain();
  bool announce(deadline_t deadline);
  void answer_clients(deadline_t deadline);
  void hand_over_shards(deadline_t deadline, bool others_know);
  bool somebody_stays() const;
  void commit_all();
  void publish_rest(deadline_t deadline);
  bool look_at_sinks(stall_watch& watch, std::vector<sink_debt>& owed);
  std::uint64_t queue_debt();
  void tell_what_is_left(const std::vector<sink_debt>& owed);
  void close_all(deadline_t deadline);
  void leave_cluster(deadline_t deadline);
  void leave_over(std::string what);
  bool ask_to_drain(const caf::actor& who, deadline_t deadline);
  template <class Answer, class Message>
  bool ask_in_time(const caf::actor& who, deadline_t deadline, const Message& what);
  result<void> start_admin();
  memory_figures memory_sources();
  void start_threads();
  std::vector<std::string> members() const;
  std::uint16_t self_member() const;
  placement_ptr first_placement() const;
  std::optional<limiter_cluster_parts> cluster_parts(std::size_t lane);
  static std::string new_incarnation();
  std::optional<key_moves_parts> key_moves_of(std::size_t lane);
  result<std::vector<std::shared_ptr<limit_ledger>>> restore_ledgers();

  config settings_;
  std::string memory_source_;
  linked_system_config system_settings_;
  caf::actor_system system_;
  node_state state_;
  std::shared_ptr<journal> journal_;
  std::shared_ptr<cursor_store> cursors_;
  std::vector<cursor> saved_cursors_;
  std::shared_ptr<counter_store> counter_store_;
  std::shared_ptr<idempotency_store> kept_keys_;
  journal_options journal_options_;
  std::shared_ptr<account_store> account_store_;
  std::shared_ptr<account_book> account_book_;
  std::shared_ptr<const identifier> identify_;
  std::shared_ptr<stream_names> names_ = std::make_shared<stream_names>();
  std::string secret_; // keys the hashes of clients and of API keys

  std::shared_ptr<journal_metrics> journal_metrics_ = std::make_shared<journal_metrics>();
  std::shared_ptr<queue_metrics> queue_metrics_ = std::make_shared<queue_metrics>();
  std::shared_ptr<keeper_metrics> keeper_metrics_ = std::make_shared<keeper_metrics>();
  std::shared_ptr<usage_metrics> usage_metrics_ = std::make_shared<usage_metrics>();
  std::shared_ptr<counters_metrics> counters_metrics_ = std::make_shared<counters_metrics>();
  std::shared_ptr<limit_labels> limit_labels_ = std::make_shared<limit_labels>();
  std::shared_ptr<dead_letter_metrics> dead_letter_metrics_ =
      std::make_shared<dead_letter_metrics>();
  std::shared_ptr<replay_metrics> replay_metrics_ = std::make_shared<replay_metrics>();
  std::shared_ptr<membership_metrics> membership_metrics_ = std::make_shared<membership_metrics>();
  std::shared_ptr<membership_board> membership_board_ = std::make_shared<membership_board>();
  const std::string incarnation_ = new_incarnation(); // of this process, among those of its address
  std::shared_ptr<std::atomic<std::int64_t>> decides_until_ns_ =
      std::make_shared<std::atomic<std::int64_t>>(0);
  std::shared_ptr<link_metrics> link_metrics_ = std::make_shared<link_metrics>();
  std::shared_ptr<replica_metrics> replica_metrics_ = std::make_shared<replica_metrics>();
  std::shared_ptr<replicator_metrics> replicator_metrics_ = std::make_shared<replicator_metrics>();
  std::shared_ptr<gate_metrics> gate_metrics_ = std::make_shared<gate_metrics>();
  std::unique_ptr<cluster_transport> transport_; // null: no cluster
  cluster_tls* tls_ = nullptr;                   // the same; null: plain TCP between nodes

  // What streams hold together; their bounds are those of settings_.memory.
  std::shared_ptr<memory_budget> delivery_budget_ =
      std::make_shared<memory_budget>(settings_.memory.delivery_bytes);
  std::shared_ptr<memory_budget> queue_budget_ =
      std::make_shared<memory_budget>(settings_.memory.queue_window_bytes);
  // These two have one holder each, and are here to be looked at.
  std::shared_ptr<memory_budget> recent_budget_ =
      std::make_shared<memory_budget>(settings_.queue.memory_bytes);
  std::shared_ptr<memory_budget> usage_budget_ =
      std::make_shared<memory_budget>(settings_.memory.of(memory_use::usage));

  std::map<std::string, outgoing_sink> sinks_; // by name

  caf::actor journal_actor_;
  caf::actor keeper_;
  caf::actor dead_letters_;
  caf::actor replays_;
  caf::actor queue_;
  caf::actor replicator_; // null: the node is alone, as is the next
  caf::actor replicas_;
  caf::actor adopter_;      // null: nothing is adopted by itself
  std::string replication_; // which streams the journal was told to replicate
  std::shared_ptr<std::atomic<bool>> adoption_stops_ = std::make_shared<std::atomic<bool>>(false);
  caf::actor membership_; // null: no directory, as is the next
  caf::actor directory_writer_;
  caf::actor usage_; // null when usage.enabled is false
  caf::actor usage_reader_;
  caf::actor usage_rebuilder_;
  std::shared_ptr<usage_rebuild_board> usage_rebuild_board_ =
      std::make_shared<usage_rebuild_board>();
  std::shared_ptr<std::atomic<bool>> stopping_ = std::make_shared<std::atomic<bool>>(false);
  caf::actor accounts_;
  caf::actor counters_;
  caf::actor names_keeper_;
  caf::actor gate_;
  caf::actor links_;
  std::vector<http_lane> lanes_;
  std::uint16_t http_port_ = 0;
  std::string http_address_;
  metrics_sources metrics_;
  std::unique_ptr<admin_server> admin_;
  std::shared_ptr<drain_board> drain_board_ = std::make_shared<drain_board>();
  bool serves_ = false;
  bool drained_ = false;
};

template <class Answer, class Message>
bool node::ask_in_time(const caf::actor& who, deadline_t deadline, const Message& what) {
  if (!who) return true;
  const auto left = std::max<std::chrono::steady_clock::duration>(
      deadline - std::chrono::steady_clock::now(), std::chrono::milliseconds{1});
  bool ok = false;
  caf::scoped_actor self{system_};
  self->request(who, std::chrono::duration_cast<std::chrono::milliseconds>(left), what)
      .receive([&](Answer) { ok = true; }, [](caf::error&) {});
  return ok;
}

} // namespace penstock
