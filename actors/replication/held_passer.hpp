// Passes on what is held here of nodes that are away, so that it is never held by one node alone.
#pragma once

#include "actors/cluster/link_messages.hpp"
#include "actors/interfaces/interfaces.hpp"
#include "actors/replication/replica_backlog.hpp"
#include "actors/replication/replica_choice.hpp"
#include "actors/replication/replica_messages.hpp"
#include "storage/journal/journal_reader.hpp"
#include "storage/journal/replica_store.hpp"

#include <caf/actor_clock.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace penstock {

/// An origin whose events, held here, another node is to hold, too.
struct held_origin {
  std::string tag;
  std::string node;
  std::uint64_t confirmed_seq = 0;            ///< nobody needs those up to here
  std::uint64_t settled_seq = 0;              ///< all others up to here are held here
  std::uint64_t partial_seq = 0;              ///< but some up to here may be missing; 0: none is
  std::shared_ptr<const told_backlog> told{}; ///< what of it is owed; null: all
};

/// One origin is passed on at a time, and of it one replica_batch: memory and what is under way are
/// bounded by max_replica_batch_bytes, and a target takes new events of others between two batches.
/// It goes to the first node in the order of the origin's holders. A target that refuses or says
/// nothing is set aside, and the next is asked. Reads the disk; not synchronised.
class held_passer {
 public:
  using time_point = caf::actor_clock::time_point;

  struct target {
    std::uint16_t member = 0;
    std::string address;
    replica_handle replicas;
    std::uint32_t version = 0;
    time_point not_before{}; // it said nothing
    std::string tag{};       // of its own events, once it has told
  };
  struct message {
    replica_handle to;
    replica_batch batch;
  };

  /// `store` is the caller's, which calls from the store's thread.
  explicit held_passer(std::shared_ptr<replica_store> store) : store_(std::move(store)) {}

  void on_peer_up(const peer_up& peer, time_point now);
  void on_peer_down(const peer_down& peer);
  /// The node of that replica actor's process has the journal with that tag: it is not asked to
  /// hold those.
  void on_tag(const caf::node_id& of, const std::string& tag);
  /// What is to be sent now; nothing while an answer is awaited, or all of `origins` is passed on
  /// as far as it can be.
  std::optional<message> next(const std::vector<held_origin>& origins, time_point now);
  void on_held(const replica_held& held, time_point now);

  /// Another node that is in reach holds all of it that can be read here.
  bool is_passed_on(const held_origin& of) const;
  /// There is a node that may be asked to.
  bool has_target(const held_origin& of, time_point now) const { return find(of, now) != nullptr; }
  /// How many events of it no other node is known to hold; by the catalog, never too few. Those
  /// that can't be read here are among them.
  std::uint64_t single_events(const held_origin& of) const;
  /// Of what is to be passed on since then something is not, and it is no use to wait: no node is
  /// in reach that could hold it, or none took anything for twice holder_patience.
  bool is_stuck(const std::vector<held_origin>& origins, time_point since, time_point now) const;
  const std::vector<target>& targets() const { return targets_; }
  /// Refusals that are remembered.
  std::size_t refusals() const { return refused_until_.size(); }

 private:
  struct turn {
    std::string tag;
    std::uint16_t to = 0;
    std::uint64_t session = 0;
    std::uint64_t held_seq = 0; // by the target
    std::uint64_t sent_seq = 0;
    bool is_waiting = true;
    bool is_damaged = false; // what was read last
    time_point since{};
    std::unique_ptr<journal_reader> reader{};
  };
  struct place {
    std::uint16_t member = 0;
    std::uint64_t up_to = 0;
  };

  std::uint64_t passed_up_to(const held_origin& of) const;
  const target* find(const held_origin& of, time_point now) const;
  std::optional<message> begin(const held_origin& of, time_point now);
  std::optional<message> go_on(const held_origin& of, time_point now);
  result<std::vector<wire_block>> read(const held_origin& of);
  void note_partial(const held_origin& of, std::uint64_t seq);
  message to_target(const held_origin& of, std::vector<wire_block> rows) const;
  void refuse(time_point now);
  void set_aside(time_point now);

  std::shared_ptr<replica_store> store_;
  std::vector<target> targets_; // with a link
  std::unique_ptr<turn> turn_;
  std::map<std::string, place> passed_; // by tag; of origins that the store has
  /// By target and tag; of origins and targets that there are.
  std::map<std::pair<std::uint16_t, std::string>, time_point> refused_until_;
  std::uint64_t session_ = 0;
  time_point taken_at_{}; // a target took something, or has all of an origin
};

} // namespace penstock
