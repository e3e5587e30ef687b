// The origin's side of ack = "replicated": this node's events on their way to the node that holds
// them.
#pragma once

#include "actors/base/metrics.hpp"
#include "actors/cluster/link_messages.hpp"
#include "actors/delivery/delivery_messages.hpp"
#include "actors/delivery/publish_watches.hpp"
#include "actors/interfaces/interfaces.hpp"
#include "actors/journal/journal_messages.hpp"
#include "actors/replication/pending_rows.hpp"
#include "actors/replication/replica_choice.hpp"
#include "actors/replication/replica_messages.hpp"
#include "actors/replication/rows_under_way.hpp"
#include "actors/retention/backlog_book.hpp"
#include "storage/journal/journal_reader.hpp"
#include "storage/journal/segment_catalog.hpp"

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace penstock {

/// Rows that wait for room on the way to the holder; beyond it they are read from the journal
/// again.
inline constexpr std::size_t max_replica_pending_bytes = 16u << 20;

/// What an origin counts; see metrics.hpp for who may write and read.
struct alignas(64) replicator_metrics {
  counter events; ///< sent, those that were sent again among them
  counter bytes;  ///< of their bodies
  counter batches;
  counter holder_changes; ///< times that a holder was chosen
  counter read_blocks;    ///< read from the journal to be sent (again)
  gauge has_holder;       ///< 1 while one takes events
  gauge waiting_bytes;    ///< sent, and not known to be held
  gauge waits;            ///< requests that wait
  gauge held_seq;         ///< the holder has all up to here
  gauge single_events;    ///< of replicated streams, owed and not known to be held: at most so many
  gauge lag_us;           ///< age of the oldest batch that is not known to be held; 0: none
};

struct replicator_parts {
  std::string tag;  ///< of this node's ids
  std::string node; ///< its name
  std::shared_ptr<segment_catalog> catalog;
  std::unique_ptr<journal_reader> reader;
  std::shared_ptr<replicator_metrics> metrics;
  std::size_t max_pending_bytes = max_replica_pending_bytes;
  /// What was delivered is known by these; without cursors holders are told only what all sinks
  /// have.
  std::shared_ptr<cursor_store> cursors{};
  std::vector<sink_route> routes{};
  std::string queue{}; ///< the embedded queue among the routes
  /// The journal has lost events to damage, at this start or before, that an earlier holder may
  /// have: no session is told as whole.
  bool lost_some = false;
};

/// With its own timer.
using replicator_self = replicator_handle::extend<caf::reacts_to<replica_tick>>;

/// A session with a holder begins with a question: what do you have? From there on all that is
/// durable follows, first from the journal's segments, then as it comes from the journal actor.
/// When the holder goes, or refuses, a session with the next one begins, so that it always has what
/// the sinks do not have yet.
class replicator_state {
 public:
  static constexpr const char* name = "replicator"; // CAF shows it
  using self_ptr = replicator_self::stateful_pointer<replicator_state>;

  explicit replicator_state(self_ptr self) : self_(self) {}

  void start(replicator_parts parts);
  void on_streams(const replicated_streams& which);
  void on_rows(const journal_rows& durable);
  void on_await(const await_published_ptr& request);
  void on_confirmed(const confirmed_up_to& update);
  void on_peer_up(const peer_up& peer);
  void on_peer_down(const peer_down& peer);
  void on_held(const replica_held& update);
  void on_down(const caf::actor_addr& who);
  void on_indexes(const key_indexes& of) { indexes_ = of.indexes; }
  void on_tick();
  void tell_peers();

 private:
  using time_point = caf::actor_clock::time_point;
  enum class stage : std::uint8_t { idle, asking, sending };

  struct peer {
    std::uint16_t member = 0;
    std::string address;
    replica_handle replicas;
    std::uint32_t version = 0;
    time_point not_before{}; // it refused, or hung
  };

  /// One of the peers.
  struct holding_node {
    std::optional<std::uint16_t> member{};
    replica_handle replicas{};
    std::uint32_t version = 0;
    bool has_keys = false; // or is told them
  };

  void choose();
  void end_session();
  void set_aside_holder();
  bool take_from_journal(std::vector<wire_block>& rows, std::size_t& bytes);
  void take_pending(std::vector<wire_block>& rows, std::size_t& bytes);
  void pump();
  void send(std::vector<wire_block> rows, std::size_t bytes);
  std::uint64_t confirmed() const;
  replica_news with_delivered(replica_news update) const;
  void tell(const std::vector<publish_watches::answer>& answers);
  time_point now() const { return self_->clock().now(); }
  std::int64_t now_ms() const;
  void show_single();
  void show();

  self_ptr self_;
  replicator_parts parts_;
  replicated_streams streams_;
  std::vector<peer> peers_; // with a link, that can hold events
  stage at_ = stage::idle;
  holding_node holder_;
  std::vector<idempotency_handle> indexes_; // none: keys are not kept
  std::uint64_t session_ = 0;
  time_point idle_since_{};
  time_point answered_at_{}; // the holder said something, or was asked with nothing under way
  std::uint64_t sent_seq_ = 0;
  std::uint64_t held_seq_ = 0; // the present holder has all up to here
  bool is_reading_ = true;     // from the journal; else what comes from the journal actor is sent
  bool is_partial_ = false;    // some of what comes before the next row to send can't be read
  pending_rows pending_;
  rows_under_way under_way_;
  bool is_refused_ = false; // a holder took nothing when it was sent some last
  std::map<std::string, std::uint64_t> confirmed_; // by sink
  publish_watches watches_{1};
  std::vector<front_end_handle> front_ends_; // that ever waited; watches know them by number
};

/// Takes replicated_streams and journal_rows (from the journal), await_published_ptr (answered with
/// published_update to its front end; not published: no other node is in reach), confirmed_up_to
/// (from the keeper), peer_up, peer_down, replica_held and drain. It reads the disk: spawn it
/// detached.
replicator_self::behavior_type replicator(replicator_self::stateful_pointer<replicator_state> self,
                                          std::shared_ptr<replicator_parts> parts);

} // namespace penstock
