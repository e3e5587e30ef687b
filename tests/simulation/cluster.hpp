// A whole cluster on virtual time: the real membership actors, limiters, accounts actors and, if it
// is to have events, journals and replicas of each node, over a simulated network and directory,
// and the clients and people that use them.
#pragma once

#include "actors/cluster/membership_actor.hpp"
#include "actors/limiter/limiter.hpp"
#include "tests/simulation/accounts.hpp"
#include "tests/simulation/directory.hpp"
#include "tests/simulation/events.hpp"
#include "tests/simulation/network.hpp"
#include "tests/simulation/replication.hpp"
#include "tests/simulation/window_judge.hpp"
#include "tests/unit/actors/fixture.hpp"

#include <array>
#include <bitset>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace penstock::simulation {

/// What each client has, for longer than a run lasts.
inline constexpr std::uint32_t limit_amount = 100;
/// What some have in addition, all of it: so often, and so many at once.
inline constexpr std::int64_t fast_interval_ns = second / 2;
inline constexpr std::uint32_t fast_burst = 10;
/// Others have a short window alone.
inline constexpr std::int64_t short_window_ns = 10 * second;
inline constexpr std::uint32_t short_amount = 20;
/// How late an answer may come; and what may so be taken for the next window's.
inline constexpr std::int64_t answer_tolerance_ns = second;
inline constexpr std::int64_t window_tolerance = 4;

/// How many have which limit: those of the second come first, then those of the short window, and
/// all others have the long one.
struct client_counts {
  std::size_t all = 0;
  std::size_t fast = 0;
  std::size_t in_short_windows = 0;
};

/// What the judge knows that a fault may have cost.
struct allowance {
  std::int64_t too_many = 0; ///< units that may be admitted beyond the limits, of all clients
  std::int64_t too_few = 0;  ///< and short of them
  bool is_bounded = true;    ///< false: a node died whose backup was out of reach
};

class cluster {
 public:
  cluster(std::uint64_t seed, const client_counts& counts, bool with_events);
  ~cluster();

  // -- what happens -------------------------------------------------------------------------------

  /// A new node, whose system clock is off by that.
  std::size_t add(std::int64_t clock_off_ns = 0);
  void drain(std::size_t who);
  /// Its process dies, and is noticed at once.
  void kill(std::size_t who);
  /// Another process at the address of one that is gone, with its disk or with an empty one.
  void start_again(std::size_t who, bool with_disk);
  /// Its process stands still for so long; its clock does not.
  void pause(std::size_t who, std::int64_t time_ns);
  /// For so long nothing arrives that either sends to the other.
  void stall(std::size_t a, std::size_t b, std::int64_t time_ns);
  void step_clock(std::size_t who, std::int64_t by_ns) { nodes_[who]->clock_off_ns += by_ns; }
  /// Neither hears the other, until heal().
  void part(std::size_t a, std::size_t b);
  void heal();
  /// All are to end after a fault: counters may wait at a node that their owner does not reach, or
  /// be with a dead one whose shards nobody has yet.
  void allow_unknown_if_incomplete();
  /// All have ended: what is admitted before another node has told what it had saved is not added
  /// to that (decision 061).
  void allow_early_units() { allowed_.too_many += 4; }
  void lose_directory(bool wiped);
  void pass(std::int64_t time_ns);
  /// As many requests of one unit, at any node that is ready, by any of the clients from `first`
  /// on.
  void send(std::size_t requests, std::size_t first, std::size_t clients);
  /// Somebody makes or revokes a key, sets a plan or deletes one, at any node that lives.
  void change_accounts();
  /// Each client of the long limit asks each node until it is refused.
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
  /// Those of the short window are held to it from now on as if nothing had been.
  void begin_windows_anew();
  /// What is wrong with what they were told, a sentence each.
  std::vector<std::string> judge_windows() const;
  /// Units, by client.
  const std::vector<std::uint32_t>& admitted() const { return admitted_; }
  /// When each unit of a client was answered.
  const std::vector<std::int64_t>& admitted_ns(std::size_t client) const {
    return admitted_ns_[client];
  }
  std::uint64_t unreachable() const { return unreachable_; }
  /// Somebody ended when nobody was to take its shards, and was not started again.
  bool has_lost_disk() const;
  /// Requests without a verdict.
  std::size_t unanswered() const { return asked_.size(); }
  const allowance& allowed() const { return allowed_; }
  /// What is wrong with events, a sentence each, once all that is durable at nodes that are up was
  /// published.
  std::vector<std::string> judge_events();
  std::size_t promised_events() const { return event_log_ ? event_log_->promised() : 0; }
  /// What is wrong with keys and plans, a sentence each.
  std::vector<std::string> judge_accounts(bool all_stay) const;
  std::string describe() const;

  chance random;
  events when;
  directory_store store;

 private:
  /// Counters that survive a restart, by what they count.
  using disk = std::map<std::array<std::uint64_t, 4>, counter_row>;

  struct node {
    std::string address;
    int number = 0;
    std::uint64_t starts = 0;
    std::int64_t clock_off_ns = 0;
    bool up = false;
    bool leaving = false;
    std::int64_t paused_until_ns = 0;
    bool has_kept_shards = false;
    disk saved;
    std::bitset<shard_count> handed_over; // as that disk has it
    node_accounts accounts;
    node_events log;
    bool has_passed_on = false; // all that it held is held by others
    bool is_missed = false;     // with what was on its disk
    bool has_disk = true;       // that of its process before
    std::atomic<cluster_standing> standing{cluster_standing::no_directory};
    caf::actor membership, limiter, counters, writer, links, front_end;
    std::set<const caf::resumable*> acting; // these actors, as the scheduler knows them
    std::shared_ptr<limit_ledger> ledger;
    std::shared_ptr<membership_status> board;
    std::shared_ptr<cluster_time> time;
    std::shared_ptr<std::atomic<std::int64_t>> decides_until;
    std::shared_ptr<limiter_cluster_metrics> figures;
    placement_ptr places;
    std::map<std::size_t, bool> linked;            // by node
    std::map<std::size_t, std::int64_t> linked_ns; // since then
  };

  void start(node& which);
  caf::actor start_counters(node& which);
  caf::actor start_writer(node& which);
  void start_limiter(node& which, const std::string& incarnation);
  void start_membership(node& which, const std::string& incarnation);
  std::int64_t system_ns(const node& which) const;
  /// Those of its actors that a pause and an end of its process are about.
  static std::vector<const caf::actor*> actors_of(const node& which);
  /// Lets all act that do not stand still.
  void act();
  void stop(node& which);
  void start_events(node& which);
  void publish_soon(node& which);
  void may_lose(std::size_t who);
  void await_hand_over(node& which, const std::shared_ptr<bool>& gone, std::int64_t until_ns);
  /// `then` is told whether it was answered.
  template <class Message, class Then>
  void ask_to(const caf::actor& whom, Message what, Then then) {
    system_.spawn([=](caf::event_based_actor* self) {
      self->request(whom, std::chrono::seconds{5}, what)
          .then([then](caf::message) { then(true); }, [then](const caf::error&) { then(false); });
    });
  }
  void on_placement(node& which, const placement_ptr& to);
  void link_soon(std::size_t a, std::size_t b);
  void link(std::size_t a, std::size_t b);
  void unlink(std::size_t a, std::size_t b);
  void tell_up(node& which, const node& peer);
  /// Of a peer: its actors that ask for peers.
  template <class Update>
  static void tell_all(const node& which, const Update& update) {
    for (const auto* each : {&which.limiter, &which.accounts.actor(), &which.membership})
      caf::anon_send(*each, update);
    if (which.log.is_on())
      for (const auto* each : {&which.log.replicator(), &which.log.replicas()})
        caf::anon_send(*each, update);
  }
  static void tell(const node& which, const store_news& news);
  void ask(node& at, std::size_t client, std::uint32_t units);
  void on_reply(const admit_reply& reply);
  void note_window(std::size_t client, const verdict& told);
  bool is_long(std::size_t client) const {
    return client >= counts_.fast + counts_.in_short_windows;
  }
  std::uint16_t number_in(const placement& places, const std::string& address) const;

  testing_config config_;
  caf::actor_system system_;
  caf::scheduler::test_coordinator& scheduler_;
  network network_;
  std::vector<std::unique_ptr<node>> nodes_;
  std::vector<std::uint64_t> clients_; // hashes
  client_counts counts_;
  std::vector<window_judge> windows_; // of those of the short window
  std::vector<std::uint32_t> admitted_;
  std::vector<std::vector<std::int64_t>> admitted_ns_;
  std::map<std::uint64_t, std::size_t> asked_; // token → client
  std::uint64_t tokens_ = 0, unreachable_ = 0, incomplete_of_gone_ = 0;
  allowance allowed_;
  bool is_parted_ = false;
  account_people people_;
  std::unique_ptr<event_log> event_log_; // null: there are no events
  std::shared_ptr<limit_labels> labels_ = std::make_shared<limit_labels>();
};

} // namespace penstock::simulation
