// A model of leases and moves for an exhaustive search: one client, two holders, three nodes of
// which views name one after the other as the owner of its shard, and every message between them as
// a value that may be delivered at any time. The steps do nothing by themselves: they load the
// state into the real lease_cache, lease_granter and limit_ledger, let these act, and read them
// back. Only the way of a shard from node to node is written again, as shard_mover.cpp has it.
#pragma once

#include "actors/limiter/lease_cache.hpp"
#include "actors/limiter/lease_granter.hpp"
#include "actors/limits/limit_ledger.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace penstock::lease_model {

inline constexpr std::size_t holder_count = 2;
inline constexpr std::size_t owner_count = 3;
inline constexpr std::size_t most_limits = 2;
inline constexpr std::uint8_t nobody = owner_count;
inline constexpr std::uint8_t anybody = owner_count + 1;
inline constexpr std::int64_t start_ns = 1'700'000'040'000'000'000; // a whole minute, UTC

/// Mistakes made on purpose, to see that the search finds them.
enum class mistake : std::uint8_t {
  none,
  spends_after_expiry,    ///< a holder goes on when its lease is over
  counts_from_arrival,    ///< a holder counts a lease's life from the reply, not from the question
  keeps_what_it_returned, ///< a holder returns units and spends them too
  forgets_to_charge,      ///< the owner sets units aside without charging them
  charges_as_of_now,      ///< gcra: a lease is charged as if it came now and not at its end
  outlives_the_window,    ///< a lease lasts as long as it would without the window's end
  refunds_twice,          ///< the owner does not forget a lease that came back
  refunds_any_window,     ///< the owner refunds a later window for what an earlier one was charged
  settles_as_unspent,     ///< what a holder had counts as not spent once it asks again
  voids_what_came,        ///< a holder says of an answer that it took that it never came
  leaves_silently,        ///< who leaves does not tell of a lease that it has spent
  reclaims_all,           ///< of a dead holder's lease nothing is taken for spent
  ignores_returns,        ///< the owner takes nothing back
  moves_without_counters, ///< the new owner begins with what it has
  moves_without_leases,   ///< the counters move, the leases don't
  decides_after_stopping, ///< the old owner goes on while the counters are on their way
  remembers_over_plans,   ///< leases given before a change of plan are refunded after it
  moves_over_plans,       ///< the same, where they come with a shard after the change
  takes_any_shard,        ///< who waits for a shard takes it from anybody, and who has it does too
  passes_nobody,          ///< a shard goes to its owner at once, not to who waits for it between
  waits_for_what_came,    ///< a shard that came by a view that was missed is waited for
  waits_for_the_last,     ///< who waits for a shard waits for another node's with the next view
  sends_what_came_back,  ///< a shard that came back is sent again, as it was not heard that it came
  forgets_early_returns, ///< what comes back before its shard does is dropped
  returns_to_anybody,    ///< who is no owner says that it took what comes back
  reclaims_before_move,  ///< who is to send a shard reclaims from leases that go with it
  ends_too_early,        ///< who leaves does not wait until its returns are taken
  compares_clocks,       ///< a holder is told a time of the owner's clock
  further_apart,         ///< owners' times are apart by twice of what is allowed for
  decides_without_say,   ///< an owner goes on when its say is over
  spends_without_say,    ///< a holder does
  tells_before_backup,   ///< of a lease is told before the backup knows it
};

/// A holder's cache, by what it was told last and has left of it.
struct holding {
  lease_answer told{};       ///< units: what may be spent
  std::uint32_t unspent = 0; ///< what may not any more, as the lease is to be settled
  std::uint64_t void_from = 0;
  std::uint64_t token = 0; ///< of its last question
  std::int64_t asked_ns = 0;
  std::int64_t seen_ns = 0;
  std::uint64_t id = 0;     ///< of its process
  std::uint8_t version = 0; ///< of the plan under which the lease was given
  bool asking = false;
  bool is_leaving = false; ///< it has returned all, and ends when that is taken
};

struct question {
  std::uint8_t holder = 0;
  std::uint8_t events = 0;
  std::uint8_t requested_units = 0;
  std::int64_t asked_ns = 0;
  lease_origin from{};
  lease_settlement settlement{};
};

struct reply {
  std::uint8_t holder = 0;
  std::uint8_t version = 0;
  std::int64_t asked_ns = 0;
  lease_origin to{};
  lease_answer told{};
};

struct returning {
  lease_return what{};
  bool is_certain = true; ///< nothing else that is under way settles the lease
  std::uint8_t by = 0;    ///< holder; holder_count: its process is no more
};

/// A process that died, or has left, and which owners know.
struct dead_holder {
  std::uint64_t id = 0;
  bool has_left = false;
  std::array<bool, owner_count> known_to{};
  std::uint8_t since = 0; ///< the view that it was in last
};

/// A shard on its way.
struct moving {
  std::uint8_t from = 0;
  std::uint8_t to = 0;
  std::uint8_t epoch = 0; ///< of the view by which it is sent
  std::vector<counter_row> rows;
  std::vector<moved_lease> leases;
};

/// What a node is to the shard, as shard_role has it.
enum class shard_part : std::uint8_t { foreign, arriving, own };

/// A node that may own the shard: its ledger's states, by the plan's limits, and its granter's
/// leases, of which left_ns is the time when they are forgotten.
struct owning {
  std::array<limit_state, most_limits> states{};
  std::vector<moved_lease> leases;
  std::vector<lease_return> early; ///< of leases that are still to come
  std::uint8_t version = 0;        ///< of the plan
  shard_part role = shard_part::foreign;
  std::uint8_t seen = 0;           ///< the last view that it saw
  std::uint8_t waits_for = nobody; ///< while the shard is arriving
  std::uint8_t waits_since = 0;    ///< view
  std::uint8_t arrived = 0;        ///< view by which a whole shard came last; 0: none did
  std::uint8_t push_to = nobody;   ///< whom it is to send the shard
  bool is_sent = false;
  bool has_say = true;
  bool is_gone = false; ///< it has left, or was taken out

  bool owns() const { return role == shard_part::own; }
  bool decides() const { return owns() && has_say; }
};

/// What may still happen in a run: with these the search is finite.
struct budget {
  std::uint8_t questions = 0;
  std::uint8_t ticks = 0;  ///< of time; see setup
  std::uint8_t crowds = 0; ///< others take what the client has, or all but setup::spare
  std::uint8_t losses = 0; ///< messages lost, given up, or holders that die
  std::uint8_t leaves = 0; ///< holders that leave
  std::uint8_t moves = 0;
  std::uint8_t plan_changes = 0; ///< each node's
  std::uint8_t repeats = 0;      ///< returns that come twice
  std::uint8_t silences = 0;     ///< owners whose say is over
};

struct world {
  std::int64_t now_ns = start_ns;
  std::array<holding, holder_count> holders{};
  std::array<owning, owner_count> owners{};
  std::vector<question> questions;
  std::vector<reply> replies;
  std::vector<returning> returns;
  std::vector<reply> held; ///< until the backup knows of the lease in it
  std::vector<moving> shards;
  std::vector<std::uint8_t> views{0}; ///< the owner by each
  moving copy;                        ///< what the owner's backup was told
  std::uint32_t unconfirmed = 0;      ///< units that the owner admitted since
  std::uint32_t again = 0;            ///< of these, what was unknown to who took over
  std::vector<dead_holder> dead;
  std::vector<lease_return> graves; ///< what the dead had really left of each lease
  std::uint32_t excess = 0;         ///< what was given back of it and had been spent
  std::uint64_t last_token = 0;
  std::uint64_t last_id = 2;
  budget left{};
  std::uint32_t series = 1; ///< of the next granter: each step makes one anew
  bool lost_units = false;  ///< units of a lease are charged that nobody can spend or return
  bool moved = false;
  bool changed = false; ///< a plan
  bool tells_holders_apart = false;
  /// What was really admitted, by limit: what a node that decides each unit when it is spent knows.
  std::array<limit_state, most_limits> truth{};
};

/// What is searched. The limits of the later plan come in an order of their own: `truth_of` says
/// which of the truths each of them is.
struct setup {
  std::string name;
  std::array<plan, 2> plans{}; ///< before and after a change
  std::array<std::array<std::uint8_t, most_limits>, 2> truth_of{{{0, 1}, {0, 1}}};
  std::int64_t tick_ns = 0;
  std::uint32_t spare = 0; ///< what a crowd leaves; at the start one was there
  budget within{};
  mistake made = mistake::none;
  /// What clocks show, less the time. Of owners: from 0 to apart_ns.
  std::array<std::int64_t, holder_count> holder_clocks_ns{};
  std::array<std::int64_t, owner_count> owner_clocks_ns{};
  std::int64_t apart_ns = 0;
  bool shares_node = false; ///< the first holder and the first owner are one node
  bool has_backup = false;
  bool crosses = false; ///< nodes see a view one after the other, and answers about shards are lost
};

enum class act : std::uint8_t {
  spend,       ///< by holder, units
  decide,      ///< question
  take,        ///< reply
  collect,     ///< by holder: what is idle or over goes back
  give_back,   ///< return, to owner
  say_again,   ///< return, to owner, and again later
  lose_return, ///< return
  give_up,     ///< by holder: the reply comes too late, if it does
  lose_reply,  ///< reply that comes too late
  die,         ///< holder, with all it has
  leave,       ///< by holder: it returns all, and asks no more
  end,         ///< holder that has left
  reclaim,     ///< by owner: half of what the dead had
  crowd,       ///< 0: all, 1: but for a few
  move,        ///< to owner, by a view that the owner before (0) or the new one (1) sees first
  see,         ///< by owner: the next view (0) or the one after that (1)
  send,        ///< by owner: counters and leases
  lose_shard,  ///< shard, which is sent again then
  arrive,      ///< shard; 1: its sender does not hear of it
  back_up,     ///< what the owner knows
  withhold,    ///< held reply: it goes without its lease
  silence,     ///< owner that may not decide any more
  speak,       ///< owner that may again
  take_over,   ///< from a silent owner, by its backup
  change_plan, ///< at a node
  forget,      ///< owner: leases that can't come back
  sweep,       ///< owner: a client of which nothing says anything
  pass,        ///< ticks of time
};

struct action {
  act what = act::pass;
  std::uint8_t first = 0;
  std::uint8_t second = 0;
};

std::string text_of(const action& step);
/// Whether an owner, or who becomes one, remembers the lease.
bool knows(const world& w, std::uint64_t lease);

/// The real code with a plan's limits. Not synchronised.
class engine {
 public:
  explicit engine(const setup& what);
  ~engine();

  world start();
  /// All that may be tried; some of it turns out to change nothing.
  std::vector<action> actions(const world& from) const;
  /// False if the action can't be taken, or changes nothing. `why` says which promise was broken.
  bool apply(world& to, const action& step, std::string& why);
  /// What must hold in each state; empty if it does. Lets all that is under way arrive, and time
  /// pass, to see that nothing is lost for good.
  std::string check(const world& at);

 private:
  struct acting {
    limit_ledger& ledger;
    lease_granter granter;
    limit_ledger::location at;
  };
  acting load(const world& w, std::size_t owner);
  void store(world& w, std::size_t owner, acting& from);
  lease_cache load_cache(const world& w, std::size_t holder);
  std::int64_t holder_now(const world& w, std::size_t holder) const {
    return w.now_ns + setup_.holder_clocks_ns[holder];
  }
  std::int64_t owner_now(const world& w, std::size_t owner) const {
    return w.now_ns +
           setup_.owner_clocks_ns[owner] * (setup_.made == mistake::further_apart ? 2 : 1);
  }
  bool is_at(const world& w, std::size_t holder, std::size_t owner) const {
    return setup_.shares_node && holder == 0 && owner == 0 && !w.owners[owner].is_gone;
  }

  bool apply_to_holders(world& to, const action& step);
  bool apply_to_owners(world& to, const action& step);
  bool apply_to_shards(world& to, const action& step);

  bool spend(world& w, std::size_t holder, std::uint32_t units);
  bool decide(world& w, std::size_t which);
  bool take(world& w, std::size_t which);
  bool collect(world& w, std::size_t holder);
  bool spend_here(world& w, std::size_t holder, std::uint32_t units);
  bool give_back(world& w, std::size_t which, std::size_t owner, bool comes_again);
  bool lose_return(world& w, std::size_t which);
  bool give_up(world& w, std::size_t holder);
  bool lose_reply(world& w, std::size_t which);
  bool die(world& w, std::size_t holder);
  bool leave(world& w, std::size_t holder);
  bool end(world& w, std::size_t holder);
  void end_process(world& w, std::size_t holder, bool has_left);
  bool reclaim(world& w, std::size_t owner);
  bool crowd(world& w, std::uint32_t spare);
  bool move(world& w, std::uint8_t to, bool is_seen_there);
  bool see(world& w, std::size_t owner, bool misses_one);
  void place_own(world& w, std::size_t owner);
  void place_foreign(world& w, std::size_t owner, std::uint8_t before);
  bool send(world& w, std::size_t owner);
  bool lose_shard(world& w, std::size_t which);
  bool arrive(world& w, std::size_t which, bool unheard);
  void take_in(world& w, std::size_t owner, const std::vector<counter_row>& rows,
               const std::vector<moved_lease>& leases);
  std::uint8_t next_for(const world& w, std::size_t owner) const;
  bool is_expected(const world& w, const moving& shard) const;
  bool back_up(world& w);
  bool withhold(world& w, std::size_t which);
  bool silence(world& w, std::size_t owner);
  bool speak(world& w, std::size_t owner);
  bool take_over(world& w);
  std::optional<std::size_t> decider(const world& w) const;
  bool has_part(const world& w, std::size_t owner) const;
  bool change_plan(world& w, std::size_t owner);
  bool forget(world& w, std::size_t owner);
  bool sweep(world& w, std::size_t owner);
  bool pass(world& w, std::uint32_t ticks);

  const plan& rules(std::uint8_t version) const { return setup_.plans[version]; }
  void forget_to_charge(const world& w, acting& at, const lease_answer& told,
                        const std::array<limit_state, most_limits>& before);
  void mistake_mark(moved_lease& of, std::size_t which, const limit& rule,
                    const limit_state& state) const;
  void admit(world& w, std::uint32_t units, std::uint8_t version);
  limit allowed(const world& w, const limit& rule) const;
  std::uint32_t outstanding(const world& w, std::uint8_t limit) const;
  std::string check_books(const world& w) const;
  std::string check_end(world& w, std::size_t owner);
  void settle(world& w);
  void settle_shards(world& w);

  const setup& setup_;
  lease_key key_;
  lease_terms terms_;
  std::array<std::unique_ptr<limit_ledger>, 2> ledgers_; // one a plan, for whoever acts
  std::string broken_;
};

/// The state as bytes, equal for states from which the same can happen. Brings the state in order:
/// leases are numbered anew, and what says nothing any more is cleared.
std::string key_of(world& w);

/// Charges one limit by its definition, without the code that is tested. False: it is exceeded. A
/// fixed window may end `apart_ns` early or late.
bool charge_truth(const limit& rule, limit_state& state, std::int64_t now_ns, std::uint32_t units,
                  std::int64_t apart_ns = 0);

} // namespace penstock::lease_model
