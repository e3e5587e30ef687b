// Leases and moves, searched through: no order of messages, losses and moves admits more than the
// limits do, or loses units for good.
#include "tests/unit/actors/limits/lease_model_search.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

namespace penstock::lease_model {

namespace {

constexpr std::int64_t model_ms = 1'000'000;
// The searches below are over before.
constexpr std::size_t most_model_states = 100'000;

limit model_limit(const char* name, algorithm kind, std::uint32_t amount, std::int64_t window_ms) {
  limit out;
  out.name = name;
  out.kind = kind;
  out.amount = amount;
  out.window_ns = window_ms * model_ms;
  return out;
}

setup of_plans(std::string name, plan before, plan after, std::int64_t tick_ms) {
  setup out;
  out.name = std::move(name);
  out.plans = {std::move(before), std::move(after)};
  out.tick_ns = tick_ms * model_ms;
  out.spare = 12;
  return out;
}

setup of_limits(std::string name, std::vector<limit> limits, std::int64_t tick_ms) {
  const plan rules{"p", std::move(limits)};
  return of_plans(std::move(name), rules, rules, tick_ms);
}

// A lease has eight units. It lasts for two ticks, and is idle after one; a window lasts for three.
setup fixed_windows() {
  return of_limits("fixed_window", {model_limit("a", algorithm::fixed_window, 440, 30)}, 10);
}
setup sliding_windows() {
  return of_limits("sliding_window", {model_limit("a", algorithm::sliding_window, 440, 30)}, 10);
}
// A lease lasts as long as 29 units take to come back, or as eight.
setup quick_gcra() {
  return of_limits("gcra, 1000 a second", {model_limit("a", algorithm::gcra, 440, 440)}, 15);
}
setup slow_gcra() {
  return of_limits("gcra, 2 a second", {model_limit("a", algorithm::gcra, 440, 220'000)}, 2000);
}
// Of the burst hardly anything is used: a lease lies ahead of what the client owes.
setup hardly_used(setup what) {
  what.name += ", hardly used";
  what.spare = 435;
  return what;
}
setup small_steps(setup what) {
  what.name += ", in small steps";
  what.tick_ns /= 2;
  return what;
}
// Steady clocks count from a node's start, whenever that was.
setup other_clocks(setup what) {
  what.name += ", clocks of holders";
  what.holder_clocks_ns = {5'000 * model_ms - start_ns, 3'600'000 * model_ms};
  return what;
}
// Owners' times are apart by a tick: who gets the shard is ahead of who had it.
setup apart(setup what) {
  what.name += ", times apart";
  what.owner_clocks_ns = {0, what.tick_ns, what.tick_ns};
  what.apart_ns = what.tick_ns;
  return what;
}
setup on_one_node(setup what) {
  what.name += ", an owner that holds leases";
  what.shares_node = true;
  return what;
}
// A view is seen by one node after the other.
setup crossing(setup what) {
  what.name += ", views that cross";
  what.crosses = true;
  return what;
}
setup backed_up(setup what) {
  what.name += ", backed up";
  what.has_backup = true;
  return what;
}
setup two_limits() {
  return of_limits("fixed_window and gcra",
                   {model_limit("a", algorithm::fixed_window, 440, 30),
                    model_limit("b", algorithm::gcra, 450, 450)},
                   10);
}
// The limits of a plan are told apart by their places; here they change them.
setup new_limit_first(algorithm kind) {
  const auto a = model_limit("a", kind, 440, 440);
  const auto b = model_limit("b", kind, 460, 460);
  auto out = of_plans("a new limit", {"p", {a}}, {"p", {b, a}}, 15);
  out.truth_of = {{{0, 0}, {1, 0}}};
  return out;
}
setup another_amount(std::uint32_t amount) {
  return of_plans("an amount of " + std::to_string(amount),
                  {"p", {model_limit("a", algorithm::fixed_window, 440, 30)}},
                  {"p", {model_limit("a", algorithm::fixed_window, amount, 30)}}, 10);
}

std::vector<setup> all_setups() {
  return {fixed_windows(), sliding_windows(),        quick_gcra(), hardly_used(quick_gcra()),
          slow_gcra(),     hardly_used(slow_gcra()), two_limits()};
}
std::vector<setup> all_changes() {
  return {new_limit_first(algorithm::gcra), new_limit_first(algorithm::fixed_window),
          another_amount(500), another_amount(435)};
}

// What may happen in the searches. Each is searched to its end.
constexpr budget one_lease{.questions = 1, .ticks = 3, .crowds = 1};
constexpr budget late_return{.questions = 1, .ticks = 5, .crowds = 1};
constexpr budget two_leases{.questions = 2, .ticks = 2};
constexpr budget two_and_loss{.questions = 2, .ticks = 1, .losses = 1};
constexpr budget two_and_leave{.questions = 2, .ticks = 1, .leaves = 1};
constexpr budget loss_and_move{.questions = 1, .ticks = 2, .losses = 1, .moves = 1};
constexpr budget there_and_back{.questions = 1, .ticks = 1, .crowds = 1, .moves = 2};
constexpr budget change_and_move{
    .questions = 1, .ticks = 1, .crowds = 1, .moves = 1, .plan_changes = 1};
constexpr budget passed_on{.questions = 1, .moves = 2};
constexpr budget passed_on_often{.moves = 3};
constexpr budget both_leave{.questions = 2, .leaves = 2};
constexpr budget leave_and_move{.questions = 1, .ticks = 1, .leaves = 1, .moves = 1};
constexpr budget owner_leaves{.questions = 1, .leaves = 1, .moves = 1};
constexpr budget times_apart{.questions = 1, .ticks = 3, .crowds = 1, .moves = 1};
constexpr budget silent{.questions = 1, .ticks = 2, .repeats = 1, .silences = 1};
constexpr budget silent_and_loss{.questions = 1, .ticks = 1, .losses = 1, .silences = 1};
// What is more is only searched for mistakes, and further in PENSTOCK_LEASE_MODEL_STATES.
constexpr budget passed_on_leased{.questions = 1, .moves = 3};
constexpr budget passed_on_and_loss{.questions = 1, .losses = 1, .moves = 2};
constexpr budget both_leave_and_move{.questions = 2, .leaves = 2, .moves = 1};
constexpr budget silent_twice{.questions = 2, .ticks = 1, .repeats = 1, .silences = 1};

findings search_within(setup what, const budget& within, mistake made = mistake::none) {
  what.within = within;
  what.made = made;
  return search(what, most_model_states);
}

// The states are as many as long as nobody changes the model or the code: fewer say that something
// can't happen any more.
void check_all(const std::vector<setup>& setups, const budget& within, std::size_t least_states) {
  std::size_t states = 0;
  for (const setup& each : setups) {
    INFO(each.name);
    const findings got = search_within(each, within);
    CHECK(got.fault == "");
    CHECK(got.complete);
    states += got.states;
  }
  CHECK(states >= least_states);
}

} // namespace

TEST_CASE("lease model: a lease, in any order", "[lease][model][slow]") {
  check_all({fixed_windows(), sliding_windows(), quick_gcra(), slow_gcra(), two_limits()},
            one_lease, 4'700);
}

TEST_CASE("lease model: a lease that comes back late", "[lease][model][slow]") {
  check_all({small_steps(hardly_used(quick_gcra()))}, late_return, 18'800);
}

TEST_CASE("lease model: two leases, in any order", "[lease][model][slow]") {
  check_all({fixed_windows(), slow_gcra()}, two_leases, 11'100);
}

TEST_CASE("lease model: a holder dies, or an answer is lost, between two leases",
          "[lease][model][slow]") {
  check_all({fixed_windows(), quick_gcra()}, two_and_loss, 20'500);
}

TEST_CASE("lease model: a holder leaves between two leases, or after them",
          "[lease][model][slow]") {
  check_all({fixed_windows(), quick_gcra()}, two_and_leave, 6'800);
}

TEST_CASE("lease model: a lease, a loss and a move", "[lease][model]") {
  check_all({fixed_windows(), slow_gcra()}, loss_and_move, 4'700);
}

TEST_CASE("lease model: a shard moves there and back", "[lease][model]") {
  check_all({sliding_windows(), two_limits()}, there_and_back, 2'200);
}

TEST_CASE("lease model: a plan changes, and a shard moves", "[lease][model][slow]") {
  check_all({new_limit_first(algorithm::fixed_window), new_limit_first(algorithm::gcra),
             another_amount(435)},
            change_and_move, 9'300);
}

TEST_CASE("lease model: a shard is passed on by who is not its owner any more",
          "[lease][model][slow]") {
  check_all({crossing(fixed_windows())}, passed_on, 980);
  check_all({crossing(fixed_windows())}, passed_on_often, 740);
}

TEST_CASE("lease model: two holders leave, and one while a shard moves", "[lease][model][slow]") {
  check_all({fixed_windows()}, both_leave, 1'030);
  check_all({crossing(fixed_windows())}, leave_and_move, 1'550);
}

TEST_CASE("lease model: an owner hands over, returns its own leases and ends",
          "[lease][model][slow]") {
  check_all({crossing(on_one_node(fixed_windows()))}, owner_leaves, 780);
}

TEST_CASE("lease model: clocks of holders differ", "[lease][model][slow]") {
  for (const setup& each : {fixed_windows(), slow_gcra()}) {
    INFO(each.name);
    const findings same = search_within(each, one_lease);
    const findings other = search_within(other_clocks(each), one_lease);
    CHECK(other.fault == "");
    CHECK(other.states == same.states);
    CHECK(other.transitions == same.transitions);
  }
}

TEST_CASE("lease model: owners' times are a little apart", "[lease][model][slow]") {
  check_all({apart(fixed_windows()), apart(sliding_windows())}, times_apart, 8'400);
}

TEST_CASE("lease model: an owner has no say for a while, or another goes on",
          "[lease][model][slow]") {
  check_all({backed_up(fixed_windows()), backed_up(quick_gcra())}, silent, 2'540);
  check_all({backed_up(fixed_windows())}, silent_and_loss, 2'000);
}

TEST_CASE("lease model: mistakes are found", "[lease][model]") {
  struct expected {
    mistake made;
    setup in;
    budget within;
    std::string says; ///< of what is broken
  };
  const std::string more = "the owner believes that", lost = "nothing was lost, but";
  const std::vector<expected> mistakes{
      {mistake::spends_after_expiry, fixed_windows(), one_lease, more},
      {mistake::counts_from_arrival, fixed_windows(), one_lease, more},
      {mistake::keeps_what_it_returned, sliding_windows(), one_lease, lost},
      {mistake::forgets_to_charge, slow_gcra(), one_lease, more},
      {mistake::charges_as_of_now, hardly_used(quick_gcra()), one_lease, more},
      {mistake::outlives_the_window, sliding_windows(), one_lease, lost},
      {mistake::refunds_twice, fixed_windows(), loss_and_move, lost},
      {mistake::refunds_any_window, fixed_windows(), one_lease, lost},
      {mistake::settles_as_unspent, quick_gcra(), two_leases, more},
      {mistake::voids_what_came, slow_gcra(), two_leases, lost},
      {mistake::leaves_silently, fixed_windows(), two_and_leave, "too much of"},
      {mistake::reclaims_all, quick_gcra(), two_and_loss, more},
      {mistake::ignores_returns, sliding_windows(), one_lease, lost},
      {mistake::moves_without_counters, fixed_windows(), loss_and_move, lost},
      {mistake::moves_without_leases, slow_gcra(), loss_and_move, lost},
      {mistake::decides_after_stopping, two_limits(), loss_and_move, lost},
      {mistake::remembers_over_plans, new_limit_first(algorithm::fixed_window), change_and_move,
       more},
      {mistake::moves_over_plans, new_limit_first(algorithm::fixed_window), change_and_move, more},
      {mistake::takes_any_shard, crossing(fixed_windows()), passed_on_and_loss, lost},
      {mistake::passes_nobody, crossing(fixed_windows()), passed_on_leased,
       "nobody gets the shard"},
      {mistake::waits_for_what_came, crossing(fixed_windows()), passed_on_leased,
       "nobody gets the shard"},
      {mistake::waits_for_the_last, crossing(fixed_windows()), passed_on_leased,
       "nobody gets the shard"},
      {mistake::sends_what_came_back, crossing(fixed_windows()), passed_on_and_loss, lost},
      {mistake::forgets_early_returns, crossing(fixed_windows()), both_leave_and_move, lost},
      {mistake::returns_to_anybody, crossing(fixed_windows()), both_leave_and_move, lost},
      {mistake::reclaims_before_move, crossing(fixed_windows()), both_leave_and_move, lost},
      {mistake::ends_too_early, crossing(fixed_windows()), both_leave_and_move, lost},
      {mistake::compares_clocks, other_clocks(fixed_windows()), one_lease, more},
      {mistake::further_apart, apart(quick_gcra()), times_apart, more},
      {mistake::decides_without_say, backed_up(fixed_windows()), silent_twice, more},
      {mistake::spends_without_say, quick_gcra(), two_and_loss, more},
      {mistake::tells_before_backup, backed_up(fixed_windows()), silent_twice, more},
  };
  for (const expected& each : mistakes) {
    INFO("mistake " << static_cast<int>(each.made));
    const findings got = search_within(each.in, each.within, each.made);
    INFO(got.fault);
    CHECK(got.fault.substr(0, each.says.size()) == each.says);
  }
}

// PENSTOCK_LEASE_MODEL_STATES=1000000: at most so many states of each, with time in smaller steps.
// A million takes about half a minute and a gigabyte with -O2.
TEST_CASE("lease model: as far as it is told to", "[lease][model]") {
  const char* const most = std::getenv("PENSTOCK_LEASE_MODEL_STATES");
  if (!most) return;
  using change = setup (*)(setup);
  const change as_it_is = [](setup what) { return what; };
  const std::vector<std::pair<change, budget>> searches{
      {crossing, {.questions = 2, .moves = 3}},
      {crossing, {.questions = 2, .losses = 1, .moves = 2}},
      {crossing, {.questions = 2, .ticks = 2, .leaves = 2, .moves = 2}},
      {on_one_node, {.questions = 2, .ticks = 2, .leaves = 2, .moves = 3}},
      {apart, {.questions = 2, .ticks = 4, .crowds = 1, .losses = 1, .moves = 2}},
      {backed_up, {.questions = 2, .ticks = 3, .losses = 1, .repeats = 1, .silences = 1}},
      {as_it_is, {.questions = 2, .ticks = 4, .crowds = 1}},
      {as_it_is, {.questions = 1, .ticks = 4, .losses = 1, .moves = 1}},
      {as_it_is, {.questions = 1, .ticks = 3, .crowds = 1, .moves = 2}},
      {as_it_is, {.questions = 2, .ticks = 3, .leaves = 1, .moves = 1}},
      {as_it_is, {.questions = 3, .ticks = 10, .crowds = 2, .losses = 1, .leaves = 1, .moves = 2}}};
  auto setups = all_setups();
  for (setup& each : all_changes())
    setups.push_back(std::move(each));
  for (std::size_t i = 0; i < searches.size(); ++i)
    for (const setup& each : setups) {
      setup what = searches[i].first(small_steps(each));
      what.within = searches[i].second;
      // Owners' times and backups are searched where plans stay.
      const bool changes = each.plans[0] != each.plans[1];
      if (changes && (what.apart_ns != 0 || what.has_backup)) continue;
      if (changes) what.within.plan_changes = 1;
      const findings got = search(what, std::stoull(most));
      WARN("search " << i << ", " << what.name << ": " << got.states << " states, "
                     << got.transitions << " transitions, " << got.depth << " steps"
                     << (got.complete ? ", complete" : ""));
      CHECK(got.fault == "");
    }
}

} // namespace penstock::lease_model
