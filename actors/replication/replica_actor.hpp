// The holder's side of ack = "replicated": other nodes' events, on this node's disk.
#pragma once

#include "actors/base/metrics.hpp"
#include "actors/interfaces/interfaces.hpp"
#include "actors/replication/held_passer.hpp"
#include "actors/replication/replica_backlog.hpp"
#include "actors/replication/replica_messages.hpp"
#include "actors/retention/space_maker.hpp"
#include "storage/journal/replica_store.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace penstock {

/// How often origins say that they live, and a holder looks who does not.
inline constexpr std::chrono::milliseconds replica_interval{1000};
/// A node that is not heard of for so long is away: what is held of it is passed on.
inline constexpr std::chrono::milliseconds away_after = 3 * replica_interval;
/// What could not be adopted whole is tried again after this.
inline constexpr std::chrono::milliseconds adopt_again_interval{60'000};

/// Segments that a holder reads at once to make room, by their size: other origins wait meanwhile.
inline constexpr std::uint64_t max_replica_room_pass_bytes = 64u << 20;

/// What a holder counts; see metrics.hpp for who may write and read.
struct alignas(64) replica_metrics {
  counter events; ///< taken, those that were held already among them
  counter bytes;  ///< of their bodies
  counter commits;
  counter refusals;      ///< batches not kept
  counter moved_bytes;   ///< written to make room, with what is owed of segments that were given up
  counter adopted;       ///< origins whose events were published here, as they did not come back
  counter passed_events; ///< sent on, for other nodes that are away, to be held twice
  counter passed_bytes;  ///< of their bodies
  gauge origins;
  gauge held_bytes; ///< of the segments
  /// Of nodes that are away, owed and not known to be held by another node: at most so many.
  gauge single_events;
};

struct replica_parts {
  std::shared_ptr<replica_store> store;
  std::chrono::milliseconds adopt_after_ms{0}; ///< 0: never
  adopter_handle adopter;                      ///< answers adopt_replica; null: nothing is adopted
  std::shared_ptr<replica_metrics> metrics;
  std::string tag{}; ///< of this node's own ids
  /// Its own journal has lost events to damage.
  bool lost_some = false;
};

/// With its own reminders.
using replica_self =
    replica_handle::extend<caf::reacts_to<commit_due>, caf::reacts_to<replica_tick>>;

/// Appends as batches come; the first makes the actor send itself commit_due, which arrives behind
/// all that was in the mailbox before it: one commit an origin for all of that.
///
/// What is held of a node that is away is passed on, so that two nodes hold it: each that holds
/// some of it sends it to the first other node in order, and says once a second that it holds it.
/// The one that holds most of it publishes it after adopt_after, and tells the others; of equals
/// the one whose own tag is less.
class replica_state {
 public:
  static constexpr const char* name = "replicas"; // CAF shows it
  using self_ptr = replica_self::stateful_pointer<replica_state>;

  explicit replica_state(self_ptr self) : self_(self) {}

  void start(replica_parts parts);
  void on_batch(const replica_batch& batch);
  void on_update(const replica_news& update);
  void commit();
  void on_tick();
  void on_adopted(const replica_adopted& update);
  void on_down(const caf::actor_addr& who);
  /// This node ends.
  void pass_on_all();
  /// Knows the other nodes. After it heard anything, and before anything else: go_on_passing().
  held_passer& passer() { return *passer_; }
  void on_indexes(const key_indexes& of) { indexes_ = of.indexes; }
  void go_on_passing();

  caf::response_promise passed_on; ///< pending while a node that ends passes on what it holds

 private:
  using time_point = caf::actor_clock::time_point;

  struct origin {
    std::string node;
    time_point heard{};
    time_point spoken_for{};     // another that holds as much or more said so
    held_listener_handle from{}; // what of it is heard comes from there
    std::uint64_t from_session = 0;
    std::vector<const_block_ptr> keyed{}; // in the open transaction
    bool is_gone = false;                 // that has ended
    bool speaks_for = false;              // this node, as the origin is away
    std::uint64_t single_events = 0;
    std::uint64_t appended_seq = 0;  // in the open transaction, or settled
    std::uint64_t confirmed_seq = 0; // by its sinks: to be forgotten
    std::uint64_t partial_seq = 0;   // up to here some may be missing
    bool is_dirty = false;           // there is an open transaction
    bool is_adopted = false;         // its directory is the adopter's for now
    time_point adopt_again{};
    held_listener_handle asks{}; // waits for an answer: the origin's replicator, or who passes on
    std::uint64_t session = 0;
    std::shared_ptr<const told_backlog> told{}; // the last that it said in this life of the holder
    std::optional<space_maker> room{};          // while the store has its journal
    std::string room_problem{};                 // told once, not every second

    bool is_partial() const { return partial_seq > confirmed_seq; }
  };

  result<void> take(origin& from, const replica_batch& batch);
  result<void> append(origin& to, const replica_batch& batch);
  result<void> forget(const std::string& tag, origin& of);
  void refuse(origin& from, const replica_batch& batch, const error& why);
  void settle(const std::string& tag, origin& of);
  void make_room(const std::string& tag, origin& of);
  void look_after(const std::string& tag, const replica_info& held, origin& of);
  void note_life(origin& of, const held_listener_handle& from);
  void on_update_of_holder(const replica_news& update, origin& of);
  std::optional<held_origin> to_pass_on(const replica_info& held, const origin& of) const;
  void show_single(const std::vector<held_origin>& all);
  void end_passing(const std::vector<held_origin>& all);
  void tell_peers(const std::string& tag, const origin& of, bool is_published) const;
  void show();

  self_ptr self_;
  replica_parts parts_;
  std::map<std::string, origin> origins_; // by tag; as many as the store allows, and one adopted
  bool commit_sent_ = false;
  time_point last_tick_{};
  std::vector<idempotency_handle> indexes_; // none: keys are not kept
  std::optional<held_passer> passer_;
  bool is_ending_ = false; // this node: it holds nothing new
  time_point ending_since_{};
};

/// Takes replica_batch (answered with replica_held), replica_news, replica_held (from whom it
/// passes on to), peer_up, peer_down, pass_on_held and drain. It blocks on the disk: spawn it
/// detached.
replica_self::behavior_type replica_actor(replica_self::stateful_pointer<replica_state> self,
                                          replica_parts parts);

} // namespace penstock
