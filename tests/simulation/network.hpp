// Links between simulated nodes: what one actor sends to another node's is delayed, kept in order,
// and lost with the link.
#pragma once

#include "actors/base/compat.hpp"
#include "tests/simulation/events.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <utility>

namespace penstock::simulation {

/// Not synchronised.
class network {
 public:
  network(caf::actor_system& system, events& when, chance& random)
      : system_(system), when_(when), random_(random) {}

  /// The actor of node `home`, as node `from` has it: what is sent there goes over the link.
  caf::actor seen_from(int from, int home, const caf::actor& who);

  /// Whether packets get from one node to the other; both ways must work for a link.
  void cut(int from, int to) { cut_.insert({from, to}); }
  void heal(int from, int to) { cut_.erase({from, to}); }
  bool reaches(int from, int to) const { return !cut_.contains({from, to}); }
  bool can_link(int a, int b) const { return reaches(a, b) && reaches(b, a); }
  /// From now on what one sends gets to the other.
  void make_link(int a, int b) { linked_.insert({std::min(a, b), std::max(a, b)}); }
  /// What is under way between the two is lost; of either direction some may have arrived before,
  /// and is only read after the loss was noticed.
  void break_link(int a, int b);
  /// Nothing arrives until then, and is not lost either: packets are sent again.
  void stall(int from, int to, std::int64_t until_ns) { stalled_ns_[{from, to}] = until_ns; }
  /// The most that a message takes; most take a twentieth of it.
  void delay_up_to(std::int64_t time_ns) { most_delay_ns_ = time_ns; }

  /// For the ends of links.
  void carry(int from, int to, caf::strong_actor_ptr target, caf::mailbox_element_ptr what);

 private:
  struct direction {
    std::uint64_t generation = 0;
    std::int64_t last_ns = 0;    // nothing overtakes
    std::int64_t read_until = 0; // of an earlier generation, what was to arrive by then still does
  };

  caf::actor_system& system_;
  events& when_;
  chance& random_;
  std::int64_t most_delay_ns_ = 5 * ms;
  std::map<std::pair<int, int>, direction> directions_;
  std::set<std::pair<int, int>> cut_;
  std::set<std::pair<int, int>> linked_; // the lesser first
  std::map<std::pair<int, int>, std::int64_t> stalled_ns_;
  std::map<std::pair<int, caf::actor_id>, caf::actor> ends_;
};

} // namespace penstock::simulation
