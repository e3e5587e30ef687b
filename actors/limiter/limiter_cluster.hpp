// What a limiter does in a cluster: it asks the owners of other nodes' shards and spends their
// leases, decides for other nodes, and moves its shards when the members change.
#pragma once

#include "actors/base/metrics.hpp"
#include "actors/base/shards.hpp"
#include "actors/cluster/cluster_settings.hpp"
#include "actors/cluster/link_messages.hpp"
#include "actors/limiter/lease_cache.hpp"
#include "actors/limiter/lease_granter.hpp"
#include "actors/limiter/limiter_messages.hpp"
#include "actors/limiter/peer_messages.hpp"
#include "actors/limiter/unconfirmed_units.hpp"
#include "actors/limits/limit_ledger.hpp"
#include "actors/limits/limit_messages.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <array>
#include <atomic>
#include <bitset>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace penstock {

/// Who was asked and is not (yet, or any more) the owner is asked again this soon, or the next one.
inline constexpr std::chrono::milliseconds ask_again_interval{5};
/// A request waits for so many leases that others ask for, and then asks for itself.
inline constexpr std::uint8_t max_leases_awaited = 4;
/// A member that was not in reach since the view came, or this process began, may take so long to
/// link; until then requests wait for it. One that was lost is not waited for.
inline constexpr std::int64_t link_grace_ns = 2'000'000'000;
/// Clients of other nodes' shards that a limiter remembers, and leases that it gives: each takes
/// about 150 bytes.
inline constexpr std::size_t max_purse_clients = 65'536;
inline constexpr std::size_t max_leases_given = 65'536;
/// A handed-over shard comes in pieces of this many rows; so many shards are on their way at once.
inline constexpr std::size_t rows_a_piece = 1000;
inline constexpr std::size_t max_moving_shards = 8;
/// A new owner waits this long for the old one's counters, and longer if that may still decide.
inline constexpr std::int64_t handover_timeout_ns = 5'000'000'000;
/// And this long for counters that may be on their way by a view that it never saw.
inline constexpr std::int64_t unseen_timeout_ns = 1'000'000'000;
/// What no backup has confirmed is admitted again if the owner dies. A message goes to it at once
/// after so many units of all clients; and of a client nothing more is admitted than this part of
/// its least limit, or so many units, before the backup confirms some. A request is not divided.
inline constexpr std::uint64_t max_unsent_units = 32;
inline constexpr std::uint32_t unconfirmed_part = 200;
inline constexpr std::uint32_t min_unconfirmed_units = 8;
inline constexpr std::size_t max_backup_rows = 4096;
/// Messages to a backup under way: further ones follow a lost packet at once, so that it is missed
/// within a round trip and not when a timer ends. Of many rows there is one.
inline constexpr std::size_t max_backups_under_way = 16;
/// An answer with a lease leaves when the backup has the lease, so that no crash gives its units to
/// others too. After so long it leaves without.
inline constexpr std::int64_t max_lease_delay_ns = 100'000'000;
/// Who owns a shard next is told again what was returned so shortly before: longer than it takes to
/// replace an owner.
inline constexpr std::int64_t return_memory_ns = 4'000'000'000;
/// Processes that are members no more: what they may have been leased is remembered no longer.
inline constexpr std::size_t max_dead_holders = 256;

/// What a limiter counts of its dealings with others; see metrics.hpp for who may write and read.
struct alignas(64) limiter_cluster_metrics {
  counter requests_sent;     ///< messages to owners
  counter replies_received;  ///< from them
  counter requests_answered; ///< messages from other nodes, as an owner
  counter moved;             ///< of those, because the shard was elsewhere
  counter asked_again;       ///< messages sent again for that reason
  counter leased_requests;   ///< requests admitted from a lease, without a message
  counter leased_refusals;   ///< refused on what the owner had said, without a message
  counter units_leased;      ///< by this node as an owner
  counter units_returned;    ///< to it, by answers and questions
  counter units_reclaimed;   ///< of dead holders: half of what they had, which may be too much
  counter leases_withheld;   ///< the backup did not confirm them in time
  counter fallback_local;    ///< requests decided here though the shard is another node's
  counter fallback_refused;  ///< or refused for that
  counter shards_sent;
  counter shards_received;
  counter shards_taken_over; ///< of a dead owner, from what it had streamed
  counter moves_incomplete;  ///< counters that never came
  counter backup_rows_sent;
  counter backup_units; ///< units charged that the backup confirmed to know
  gauge owned_shards;
  gauge waiting_shards; ///< ours, but their counters are not here yet
  gauge leaving_shards; ///< another's, but it has not confirmed their counters yet
  gauge held_requests;  ///< that wait for a shard to arrive or an owner to be found
  gauge leased_units;   ///< held for spending
  gauge unsent_units;   ///< charged and not confirmed by a backup: what a crash admits again
};

struct limiter_cluster_parts {
  std::uint16_t self = 0; ///< this node's number
  std::size_t lane = 0;   ///< of this limiter; shard s is with lane s % lanes
  std::size_t lanes = 1;
  unreachable_policy on_unreachable = unreachable_policy::local;
  std::chrono::milliseconds verdict_timeout_ms{500};
  placement_ptr places;                    ///< null: none yet
  std::function<std::int64_t()> steady_ns; ///< runs on while the process is stopped
  /// Until then (steady) the node may decide for its shards; null: for ever.
  /// Without it the members are a fixed list.
  std::shared_ptr<const std::atomic<std::int64_t>> decides_until_ns;
  std::uint64_t holder = 0; ///< this process, as in placement; 0: others can't know it
  std::shared_ptr<limiter_cluster_metrics> metrics;
};

class limiter_cluster {
 public:
  /// Decides an item whose counters are here, and counts that.
  using decide_function =
      std::function<limit_ledger::decision(const limit_ledger::location&, const admit_item&,
                                           std::span<const std::uint32_t>, std::int64_t now_ns)>;
  struct tools {
    caf::event_based_actor* self;
    limit_ledger* ledger;
    std::function<std::int64_t()> clock; ///< of limits
    decide_function decide;
  };

  limiter_cluster(limiter_cluster_parts parts, tools with);

  // -- limiter_asks.cpp: for front ends of this node ----------------------------------------------

  /// All verdicts that take no asking; the rest is pending and follows.
  admit_reply admit(const admit_request& request, const caf::actor& front_end);
  /// Who to ask how limits stand: null when it is this limiter itself, or nobody (`reached`).
  caf::actor whom_to_ask(const limits_query& query, bool& reached);
  void on_reply(const owner_reply& reply, const caf::actor& from);
  /// Their timer rang.
  void ask_again() {
    will_ask_again_ = false;
    ask_waiting();
  }

  // -- limiter_returns.cpp: leases go back --------------------------------------------------------

  void on_returns_taken(const returns_taken& done);

  // -- limiter_owner.cpp: for other nodes ---------------------------------------------------------

  /// Answers, at once or when the backup knows of the leases in the answer.
  void decide(const owner_request& request, const caf::actor& from);
  /// To be answered with what it gives, unless that has no token.
  returns_taken take_back(const leases_returned& returned);
  /// To be called before the ledger changes its own.
  void plans_change() { desk_.forget_all(with_.clock()); }

  // -- limiter_moves.cpp --------------------------------------------------------------------------

  void on_placement(const placement_ptr& to);
  void on_rows(const shard_rows& rows, const caf::actor& from);
  void on_taken(const shard_taken& done);
  /// The member will decide by no view before this one any more.
  void on_member_epoch(std::uint16_t member, std::uint64_t epoch);
  void on_peer_up(const peer_up& peer);
  void on_peer_down(const peer_down& peer);
  /// Gives all leases back; true once nothing is owned nor under way, and their owners have them.
  bool has_left();

  /// Every sweep_interval.
  void tick();

  // -- limiter_backup.cpp -------------------------------------------------------------------------

  void on_backup_rows(const backup_rows& rows);
  void on_backup_taken(const caf::actor_addr& from);

 private:
  enum class role : std::uint8_t { foreign, arriving, own };
  static constexpr std::uint16_t any_member = no_member - 1;

  struct peer {
    std::vector<caf::actor> limiters; // empty: out of reach
    bool was_lost = false;
    std::uint64_t epoch = 0;
    std::uint32_t version = 0; // of messages to it
  };

  struct open_item {
    std::uint32_t position = 0;
    admit_item item;
    std::vector<std::uint32_t> sizes{};
    std::uint32_t wish = 0;
    bool follows = false; // waits for the lease that is being asked for
    std::uint8_t leases_awaited = 0;
  };
  struct owner_ask {
    caf::actor front_end;
    std::uint64_t token = 0; // the front end's
    std::uint16_t owner = 0;
    bool waits = false; // to be asked again; else an answer is under way
    std::int64_t since_ns = 0;
    std::int64_t sent_ns = 0;
    std::vector<open_item> items;
  };
  struct told {
    std::uint32_t position;
    verdict answer;
  };
  struct backup {
    std::vector<caf::actor_addr> asked;           // and not confirmed by them
    std::vector<unconfirmed_units::part> charged; // before it
    std::uint64_t number = 0;
    bool has_all = false; // that had changed
  };
  struct recent_return {
    returned_units units;
    std::int64_t since_ns = 0;
    std::uint16_t sent_to = no_member; // or to be sent
    std::uint64_t token = 0;           // of the message that is under way; 0: none
    bool is_taken = false;             // by sent_to
  };
  // An answer that waits until the backup has what it gives.
  struct held_reply {
    caf::actor to;
    owner_reply reply;
    std::uint64_t backup = 0; // the first that may have it
    std::int64_t since_ns = 0;
  };
  // A shard's way here.
  struct arrival {
    std::uint16_t from = no_member; // nobody: all is here, or lost, and it waits to be taken over
    bool is_copy = false;           // from who was the dead owner's backup before this node
    std::uint64_t epoch = 0;        // of the view that made it arriving
    std::int64_t until_ns = 0;      // then it goes on without
  };
  struct move {
    std::uint32_t shard = 0;
    std::uint16_t to = 0;
    bool sent = false;
  };

  // limiter_asks.cpp
  std::vector<told> route(const caf::actor& front_end, std::uint64_t token, std::int64_t since_ns,
                          std::vector<open_item> items);
  bool may_come_back(std::uint16_t owner, std::int64_t steady_ns);
  std::optional<verdict> without_asking(open_item& item, std::int64_t steady_ns);
  void send_ask(owner_ask ask, const caf::actor& owner);
  void wait(owner_ask ask);
  void tell(const caf::actor& front_end, std::uint64_t token, const std::vector<told>& verdicts);
  verdict fall_back(const open_item& item);
  verdict decide_here(const open_item& item);
  void take_lease(const owner_ask& ask, const open_item& item, const verdict& answer,
                  const lease_answer& lease);
  lease_key key_of(const admit_item& item);
  void end_late_asks();
  void ask_waiting();
  void ask_followers();
  void route_again(std::vector<owner_ask> asks);
  void note_lost(const owner_ask& ask, std::uint64_t token);

  // limiter_returns.cpp
  void give_back(const std::vector<returned_units>& units);
  void send_returns();
  void forget_returns(std::int64_t steady_ns);
  void lose_returns(std::uint16_t member);
  bool are_all_returned() const;

  // limiter_owner.cpp
  void forget_leases();
  void note_dead(const placement* before);
  void reclaim();
  void take_in_leases(const std::vector<moved_lease>& leases);
  // limiter_moves.cpp
  bool is_mine(std::uint32_t shard) const { return shard % parts_.lanes == parts_.lane; }
  /// Whether the node may decide for what it owns.
  bool may_decide(std::int64_t steady_ns) const {
    return !parts_.decides_until_ns ||
           steady_ns < parts_.decides_until_ns->load(std::memory_order_relaxed);
  }
  bool owns(std::uint64_t client) const { return roles_[shard_of(client)] == role::own; }
  const caf::actor* limiter_of(std::uint16_t member, std::uint32_t shard) const;
  peer& peer_at(std::uint16_t member);
  bool is_expected(const shard_rows& rows) const;
  void place_own(std::uint32_t shard, const shard_place& at, const placement* before);
  void place_foreign(std::uint32_t shard, const shard_place& at, const placement* before);
  bool has_whole_copy(std::uint32_t shard, const placement* before) const;
  bool may_have_last_copy(const placement* before, std::uint32_t shard) const;
  void begin(std::uint32_t shard, bool owner_sent);
  void take_over(std::uint32_t shard, const shard_place& at, bool waited);
  arrival& await(std::uint32_t shard, std::uint16_t from,
                 std::int64_t patience_ns = handover_timeout_ns);
  bool is_member(std::uint16_t number) const;
  void become_owner(std::uint32_t shard);
  void push(std::uint32_t shard, std::uint16_t to);
  void send_moves();
  std::vector<moved_lease> leases_of(std::uint32_t shard);
  void send_shard(const move& what, const caf::actor& to);
  void end_late_moves(std::int64_t steady_ns);
  void show();

  // limiter_backup.cpp
  bool has_backup(std::uint64_t client) const;
  void note_charge(std::uint64_t client, std::uint32_t units);
  bool is_at_bound(const admit_item& item);
  void back_up();
  void add_lease_changes(std::map<const caf::actor*, backup_rows>& by_member);
  void add_whole_shards(std::map<const caf::actor*, backup_rows>& by_member);
  void confirm_backups();
  void release_replies();
  void withhold_leases(std::int64_t since_ns = INT64_MAX);

  limiter_cluster_parts parts_;
  tools with_;
  lease_purse purse_{max_purse_clients};
  lease_desk desk_;
  lease_copies copies_{max_leases_given};
  std::vector<recent_return> recent_returns_; // of the last return_memory_ns
  std::uint64_t next_return_ = 1;
  std::vector<std::uint64_t> dead_holders_; // the latest last
  bool may_reclaim_ = false;                // somebody died, or leases came in
  placement_ptr places_;
  std::int64_t placed_ns_ = 0;
  std::array<role, shard_count> roles_{};
  std::array<arrival, shard_count> arrivals_{};            // where the role is arriving
  std::array<std::uint64_t, shard_count> arrived_epoch_{}; // of the last whole shard that came
  std::bitset<shard_count> whole_due_;    // told anew: backups are to hear when that was all
  std::bitset<shard_count> whole_copies_; // of shards of others: this node is their backup
  std::bitset<shard_count> last_copies_;  // that the owner may want, once the view is confirmed
  std::vector<peer> peers_;               // by number
  boost::unordered_flat_map<std::uint64_t, owner_ask> asks_;
  // Of clients whose lease is being asked for. Bounded as asks_ is, by what front ends have in
  // flight.
  std::vector<owner_ask> followers_;
  std::uint64_t next_ask_ = 1;
  bool will_ask_again_ = false;
  std::deque<move> moves_;
  std::deque<backup> backups_; // under way, the oldest first
  unconfirmed_units unconfirmed_;
  std::vector<unconfirmed_units::part> sent_charges_; // confirmed but for rows still to come
  bool waits_for_backup_ = false;                     // a request of a client at its bound
  bool more_to_back_up_ = false;
  std::uint64_t last_backup_ = 0;      // number of the last that was sent
  std::uint64_t confirmed_backup_ = 0; // the last that had all that had changed
  std::vector<held_reply> held_replies_;
  std::vector<limit_ledger::location> located_; // of the request under way; kept for its memory
};

} // namespace penstock
