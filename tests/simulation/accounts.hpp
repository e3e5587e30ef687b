// Keys and plans of simulated nodes: the real accounts actors, and the people who make and delete
// keys and plans at any of them, and hold the nodes to what they were answered.
#pragma once

#include "actors/accounts/accounts_actor.hpp"
#include "tests/simulation/events.hpp"
#include "tests/unit/actors/accounts/memory_account_store.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace penstock::simulation {

/// People set and delete so many plans, beside those that are configured.
inline constexpr std::size_t changed_plans = 4;

/// Of one node. What is on its disk outlives a stop.
class node_accounts {
 public:
  struct parts {
    directory_writer_handle directory;
    front_end_handle front_end; ///< is told accounts_changed
    limiter_handle limiter;
    std::function<std::int64_t()> wall_us;
  };

  /// What the disk and the configuration have: to be called before the actors that read plans() are
  /// made.
  void load(const std::vector<plan>& configured);
  void start(caf::actor_system& system, parts with);
  void lose_disk();

  std::shared_ptr<const std::vector<plan>> plans() const { return limiters_plans(*book_->plans()); }
  const caf::actor& actor() const { return actor_; }
  const account_book& book() const { return *book_; }
  void take(const accounts_changed& told) { told_ = told; }
  /// What front ends go by.
  const accounts_changed& in_force() const { return told_; }
  /// Another with each disk that is lost.
  std::uint64_t disk_number() const { return disk_number_; }

 private:
  std::shared_ptr<memory_account_store> disk_ = std::make_shared<memory_account_store>();
  std::shared_ptr<account_book> book_;
  caf::actor actor_;
  accounts_changed told_;
  std::uint64_t disk_number_ = 0;
};

/// Not synchronised.
class account_people {
 public:
  account_people(caf::actor_system& system, std::uint64_t seed) : system_(system), random_(seed) {}

  /// One of them makes or revokes a key, sets a plan or deletes one, at the node of that number.
  void ask(std::size_t at, const node_accounts& node);
  /// What is wrong, a sentence each. `nodes`: those that are up, by number; null: it is not.
  /// `all_stay`: nothing that was answered may be gone; else only what a node was answered whose
  /// disk is gone, or which is not up.
  std::vector<std::string> judge(const std::vector<const node_accounts*>& nodes,
                                 bool all_stay) const;
  std::size_t answers() const { return keys_.size() + plans_.size(); }

 private:
  /// What a node has answered, and so must be known.
  struct place {
    std::size_t node = 0;
    std::uint64_t disk = 0;
  };
  struct made_key {
    std::string key, id;
    place at;
    std::vector<place> revoked{};
  };
  struct changed_plan {
    std::string name;
    std::uint64_t version = 0;
    place at;
  };

  template <class Reply, class Request>
  void ask(const caf::actor& whom, Request what, std::function<void(Reply)> then);
  void make_key(const caf::actor& whom, place at);
  void revoke_key(const caf::actor& whom, place at);
  void set_plan(const node_accounts& node, place at);
  void delete_plan(const node_accounts& node, place at);
  std::string any_plan();

  caf::actor_system& system_;
  chance random_;
  std::vector<made_key> keys_;
  std::vector<changed_plan> plans_;
};

} // namespace penstock::simulation
