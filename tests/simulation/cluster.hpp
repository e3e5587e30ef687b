// A whole cluster on virtual time: the real membership actors and limiters of each node, over a
// simulated network and directory, and the clients that send to them.
#pragma once

#include "actors/cluster/membership_actor.hpp"
#include "actors/limiter/limiter.hpp"
#include "tests/simulation/directory.hpp"
#include "tests/simulation/events.hpp"
#include "tests/simulation/network.hpp"
#include "tests/unit/actors/fixture.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace penstock::simulation {

inline constexpr std::uint32_t limit_amount = 100;

/// What the judge knows that a fault may have cost.
struct allowance {
  std::int64_t too_many = 0; ///< units that may be admitted beyond the limits, of all clients
  std::int64_t too_few = 0;  ///< and short of them
  bool is_bounded = true;    ///< false: a node died whose backup was out of reach
};

class cluster {
 public:
  cluster(std::uint64_t seed, std::size_t clients);
  ~cluster();

  // -- what happens -------------------------------------------------------------------------------

  /// A new node, whose system clock is off by that.
  std::size_t add(std::int64_t clock_off_ns = 0);
  void drain(std::size_t who);
  /// Its process dies, and is noticed at once.
  void kill(std::size_t who);
  /// Another process at the address of one that is gone.
  void start_again(std::size_t who);
  void step_clock(std::size_t who, std::int64_t by_ns) { nodes_[who]->clock_off_ns += by_ns; }
  /// Neither hears the other, until heal().
  void part(std::size_t a, std::size_t b);
  void heal();
  void lose_directory(bool wiped);
  void pass(std::int64_t time_ns);
  /// As many requests of one unit, at any node that lives, by any client.
  void send(std::size_t requests);
  /// Each client asks each node until it is refused.
  void exhaust();

  // -- what came of it ----------------------------------------------------------------------------

  std::size_t size() const { return nodes_.size(); }
  bool is_up(std::size_t who) const { return nodes_[who]->up && !nodes_[who]->leaving; }
  /// Its process is gone.
  bool has_ended(std::size_t who) const { return !nodes_[who]->up; }
  /// Its /readyz is 200.
  bool is_ready(std::size_t who) const {
    return is_up(who) && nodes_[who]->standing.load() == cluster_standing::in;
  }
  std::size_t count_up() const;
  std::int64_t owned_shards() const;
  std::uint64_t incomplete_moves() const;
  const std::vector<std::uint32_t>& admitted() const { return admitted_; }
  std::uint64_t unreachable() const { return unreachable_; }
  /// Requests without a verdict.
  std::size_t unanswered() const { return asked_.size(); }
  const allowance& allowed() const { return allowed_; }
  std::string describe() const;

  chance random;
  events when;
  directory_store store;

 private:
  struct node {
    std::string address;
    int number = 0;
    std::uint64_t starts = 0;
    std::int64_t clock_off_ns = 0;
    bool up = false;
    bool leaving = false;
    std::atomic<cluster_standing> standing{cluster_standing::no_directory};
    caf::actor membership, limiter, writer, links, front_end;
    std::shared_ptr<limit_ledger> ledger;
    std::shared_ptr<cluster_time> time;
    std::shared_ptr<std::atomic<std::int64_t>> decides_until;
    std::shared_ptr<limiter_cluster_metrics> figures;
    placement_ptr places;
    std::map<std::size_t, bool> linked;            // by node
    std::map<std::size_t, std::int64_t> linked_ns; // since then
  };

  void start(node& which);
  void stop(node& which);
  void on_placement(node& which, const placement_ptr& to);
  void link_soon(std::size_t a, std::size_t b);
  void link(std::size_t a, std::size_t b);
  void unlink(std::size_t a, std::size_t b);
  void tell_up(node& which, const node& peer);
  void ask(node& at, std::size_t client, std::uint32_t units);
  void on_reply(const admit_reply& reply);
  std::uint16_t number_in(const placement& places, const std::string& address) const;

  testing_config config_;
  caf::actor_system system_;
  caf::scheduler::test_coordinator& scheduler_;
  network network_;
  std::vector<std::unique_ptr<node>> nodes_;
  std::vector<std::uint64_t> clients_; // hashes
  std::vector<std::uint32_t> admitted_;
  std::map<std::uint64_t, std::size_t> asked_; // token → client
  std::uint64_t tokens_ = 0, unreachable_ = 0, refused_ = 0, incomplete_of_gone_ = 0;
  allowance allowed_;
  bool is_parted_ = false;
  std::shared_ptr<limit_labels> labels_ = std::make_shared<limit_labels>();
};

} // namespace penstock::simulation
