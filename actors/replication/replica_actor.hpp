// The holder's side of ack = "replicated": other nodes' events, on this node's disk.
#pragma once

#include "actors/base/metrics.hpp"
#include "actors/interfaces/interfaces.hpp"
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
/// What could not be adopted whole is tried again after this.
inline constexpr std::chrono::milliseconds adopt_again_interval{60'000};

/// Segments that a holder reads at once to make room, by their size: other origins wait meanwhile.
inline constexpr std::uint64_t max_replica_room_pass_bytes = 64u << 20;

/// What a holder counts; see metrics.hpp for who may write and read.
struct alignas(64) replica_metrics {
  counter events; ///< taken, those that were held already among them
  counter bytes;  ///< of their bodies
  counter commits;
  counter refusals;    ///< batches not kept
  counter moved_bytes; ///< written to make room, with what is owed of segments that were given up
  counter adopted;     ///< origins whose events were published here, as they did not come back
  gauge origins;
  gauge held_bytes; ///< of the segments
};

struct replica_parts {
  std::shared_ptr<replica_store> store;
  std::chrono::milliseconds adopt_after_ms{0}; ///< 0: never
  adopter_handle adopter;                      ///< answers adopt_replica; null: nothing is adopted
  std::shared_ptr<replica_metrics> metrics;
};

/// With its own reminders.
using replica_self =
    replica_handle::extend<caf::reacts_to<commit_due>, caf::reacts_to<replica_tick>>;

/// Appends as batches come; the first makes the actor send itself commit_due, which arrives behind
/// all that was in the mailbox before it: one commit an origin for all of that.
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

 private:
  using time_point = caf::actor_clock::time_point;

  struct origin {
    std::string node;
    time_point heard{};
    std::uint64_t appended_seq = 0;  // in the open transaction, or settled
    std::uint64_t confirmed_seq = 0; // by its sinks: to be forgotten
    bool is_dirty = false;           // there is an open transaction
    bool is_adopted = false;         // its directory is the adopter's for now
    time_point adopt_again{};
    replicator_handle asks{}; // the origin's replicator, which waits for an answer
    std::uint64_t session = 0;
    std::shared_ptr<const told_backlog> told{}; // the last that it said in this life of the holder
    std::optional<space_maker> room{};          // while the store has its journal
    std::string room_problem{};                 // told once, not every second
  };

  result<void> take(origin& from, const replica_batch& batch);
  result<void> append(origin& to, const replica_batch& batch);
  result<void> forget(const std::string& tag, origin& of);
  void refuse(origin& from, const replica_batch& batch, const error& why);
  void settle(const std::string& tag, origin& of);
  void make_room(const std::string& tag, origin& of);
  void look_after(const std::string& tag, const replica_info& held, origin& of);
  void show();

  self_ptr self_;
  replica_parts parts_;
  std::map<std::string, origin> origins_; // by tag; as many as the store allows, and one adopted
  bool commit_sent_ = false;
  time_point last_tick_{};
};

/// Takes replica_batch (answered with replica_held), replica_news and drain. It blocks on the disk:
/// spawn it detached.
replica_self::behavior_type replica_actor(replica_self::stateful_pointer<replica_state> self,
                                          replica_parts parts);

} // namespace penstock
