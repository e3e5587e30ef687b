// What must hold in the model's states, and how states are told apart.
#include "tests/unit/actors/limits/lease_model.hpp"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

namespace penstock::lease_model {

namespace {

const char* name_of(act what) {
  switch (what) {
  case act::spend:
    return "spend";
  case act::decide:
    return "decide";
  case act::take:
    return "take";
  case act::collect:
    return "collect";
  case act::give_back:
    return "give back";
  case act::lose_return:
    return "lose return";
  case act::give_up:
    return "give up";
  case act::lose_reply:
    return "lose reply";
  case act::die:
    return "die";
  case act::leave:
    return "leave";
  case act::reclaim:
    return "reclaim";
  case act::crowd:
    return "crowd";
  case act::stop:
    return "stop";
  case act::send:
    return "send";
  case act::lose_shard:
    return "lose shard";
  case act::arrive:
    return "arrive";
  case act::change_plan:
    return "change plan";
  case act::forget:
    return "forget";
  case act::sweep:
    return "sweep";
  case act::pass:
    return "pass";
  }
  return "";
}

std::string text_of_state(const limit_state& state) {
  return std::to_string(state.used) + "+" + std::to_string(state.previous) + " at " +
         std::to_string(state.at - start_ns) + " ns";
}

bool is_live(const holding& of, std::int64_t now_ns) {
  return of.told.units > 0 && now_ns < of.asked_ns + of.told.lifetime_ns;
}

} // namespace

bool knows(const world& w, std::uint64_t lease) {
  const auto has = [lease](const std::vector<moved_lease>& leases) {
    return std::ranges::count(leases, lease, &moved_lease::lease) != 0;
  };
  return std::ranges::any_of(w.owners, [&](const owning& each) { return has(each.leases); }) ||
         (w.shard && has(w.shard->leases));
}

std::string text_of(const action& step) {
  return std::string(name_of(step.what)) + " " + std::to_string(step.first) + " " +
         std::to_string(step.second);
}

bool charge_truth(const limit& rule, limit_state& state, std::int64_t now_ns, std::uint32_t units) {
  const std::int64_t window = rule.window_ns;
  if (rule.kind == algorithm::gcra) {
    // A window that the amount divides, so that a unit's time is exact.
    const std::int64_t unit_ns = window / rule.amount;
    const std::int64_t burst = rule.burst != 0 ? rule.burst : rule.amount;
    state.at = std::max(state.at, now_ns) + units * unit_ns;
    return state.at - now_ns <= burst * unit_ns;
  }
  if (rule.kind == algorithm::fixed_window) {
    if (state.used == 0 || now_ns - state.at >= window) state = {now_ns, 0, 0};
    state.used += units;
    return state.used <= rule.amount;
  }
  const std::int64_t opened = now_ns - now_ns % window;
  if (state.at != opened) state = {opened, 0, opened - state.at == window ? state.used : 0};
  state.used += units;
  const std::int64_t weight = state.previous * (opened + window - now_ns);
  return state.used + (weight + window - 1) / window <= rule.amount;
}

void engine::admit(world& w, std::uint32_t units, std::uint8_t version) {
  if (units == 0) return;
  for (std::size_t i = 0; i < rules(version).limits.size(); ++i) {
    limit rule = rules(version).limits[i];
    const std::uint8_t truth = setup_.truth_of[version][i];
    // While plans change, either amount is right.
    for (std::size_t j = 0; w.changed && j < rules(1).limits.size(); ++j)
      if (setup_.truth_of[1][j] == truth)
        rule.amount = std::max(rule.amount, rules(1).limits[j].amount);
    if (w.excess > 0 && rule.kind == algorithm::gcra)
      rule.burst = (rule.burst != 0 ? rule.burst : rule.amount) + w.excess;
    else
      rule.amount += w.excess;
    if (!charge_truth(rule, w.truth[truth], w.now_ns, units))
      broken_ = "more was admitted than " + rule.name + " allows";
  }
}

// Units of leases that may still be spent and that the limit has to count.
std::uint32_t engine::outstanding(const world& w, std::uint8_t truth) const {
  const auto counts = [&](std::uint8_t version) {
    const auto& of = setup_.truth_of[version];
    const auto end = of.begin() + static_cast<std::ptrdiff_t>(rules(version).limits.size());
    return std::find(of.begin(), end, truth) != end;
  };
  std::uint32_t units = 0;
  for (const holding& each : w.holders)
    if (is_live(each, w.now_ns) && counts(each.version)) units += each.told.units;
  for (const reply& each : w.replies)
    if (w.holders[each.holder].asking && w.holders[each.holder].token == each.to.token &&
        w.now_ns < each.asked_ns + each.told.lifetime_ns && counts(each.version))
      units += each.told.units;
  return units;
}

// The owner never believes less than what was spent and what leases may still spend.
std::string engine::check_books(const world& w) const {
  for (const owning& owner : w.owners) {
    if (!owner.owns) continue;
    for (std::size_t i = 0; i < rules(owner.version).limits.size(); ++i) {
      const limit& rule = rules(owner.version).limits[i];
      const std::uint8_t truth = setup_.truth_of[owner.version][i];
      const std::uint32_t left = available_units(rule, owner.states[i], w.now_ns);
      const std::uint32_t really = available_units(rule, w.truth[truth], w.now_ns);
      if (left > 0 && left + outstanding(w, truth) > really + w.excess)
        return "the owner believes that " + std::to_string(left) + " units of " + rule.name +
               " are left, leases have " + std::to_string(outstanding(w, truth)) +
               ", and there are " + std::to_string(really);
    }
  }
  return {};
}

std::string engine::check(const world& at) {
  if (auto why = check_books(at); !why.empty()) return why;
  const auto died =
      static_cast<std::size_t>(std::ranges::count(at.dead, false, &dead_holder::has_left));
  if (at.excess > died * (terms_.max_units / 2))
    return "too much of the dead, or of who left, came back";
  world w = at;
  broken_.clear();
  settle(w);
  if (!broken_.empty()) return broken_ + ", as all settled";
  const auto owner = std::ranges::find_if(w.owners, &owning::owns);
  const auto& limits = rules(owner->version).limits;
  const bool exact = !w.lost_units && !w.changed;
  if (exact && std::ranges::any_of(w.returns, &returning::is_certain))
    return "nothing was lost, but nobody knows a lease that came back";
  for (std::size_t i = 0; i < limits.size(); ++i) {
    const limit_state& truth = w.truth[setup_.truth_of[owner->version][i]];
    const bool over =
        is_idle(limits[i], truth, w.now_ns) && is_idle(limits[i], owner->states[i], w.now_ns);
    if (exact && limits[i].kind != algorithm::gcra && owner->states[i] != truth && !over)
      return "nothing was lost, but the owner of " + limits[i].name + " believes " +
             text_of_state(owner->states[i]) + " and it is " + text_of_state(truth);
  }
  // Whatever was lost: after two windows, or when a burst is full again, all is there.
  w.now_ns += max_lease_lifetime_ns + 3'000'000'000; // the granter's grace, and the cache's memory
  acting by = load(w, static_cast<std::size_t>(owner - w.owners.begin()));
  by.granter.collect(w.now_ns);
  if (by.granter.leases() != 0) return "the owner never forgets a lease";
  std::int64_t longest_ns = 0;
  for (const limit& each : limits)
    longest_ns = std::max(longest_ns, 2 * each.window_ns);
  w.now_ns += longest_ns;
  for (std::size_t i = 0; i < limits.size(); ++i)
    if (available_units(limits[i], by.at.entries[0].states[i], w.now_ns) !=
        available_units(limits[i], {}, w.now_ns))
      return "units of " + limits[i].name + " are lost for good";
  return {};
}

// All that is under way arrives, what is held goes back.
void engine::settle(world& w) {
  for (std::size_t i = 0; i < w.owners.size(); ++i)
    if (w.owners[i].stopped) {
      while (w.owners[i].version > w.owners[1 - i].version)
        (void)change_plan(w, 1 - i);
      (void)(send(w), arrive(w));
    }
  while (!w.questions.empty())
    (void)decide(w, 0);
  while (!w.replies.empty())
    (void)take(w, 0);
  for (std::size_t holder = 0; holder < holder_count; ++holder) {
    // Who sent something just now is waited for a little: see lease_cache::collect().
    const holding& by = w.holders[holder];
    w.now_ns = std::max(w.now_ns, std::max(by.asked_ns, by.seen_ns) + by.told.lifetime_ns);
    (void)collect(w, holder);
  }
  for (std::size_t i = 0; i < w.returns.size();) {
    const bool done = give_back(w, i, 0) || give_back(w, i, 1);
    if (!done) ++i;
  }
}

// -- telling states apart -------------------------------------------------------------------------

namespace {

// Leases get small numbers in the order in which they are met.
class numbering {
 public:
  std::uint64_t of(std::uint64_t lease) {
    return lease == 0 ? 0 : known_.try_emplace(lease, known_.size() + 1).first->second;
  }

 private:
  std::map<std::uint64_t, std::uint64_t> known_;
};

// What is over, or spent, says nothing any more.
void tidy_holding(const world& w, holding& of) {
  if (of.told.units == 0 && of.unspent == 0) {
    if (!knows(w, of.told.lease)) of.told.lease = 0;
    of.told.lifetime_ns = 0;
    of.version = 0;
    if (!of.asking && of.told.lease == 0 && of.void_from == 0) of.seen_ns = 0;
  }
  if (!of.asking) of.token = 0;
  if (of.asked_ns + of.told.again_ns <= w.now_ns) of.told.again_ns = 0;
  if (of.told.units == 0 && of.unspent == 0 && of.told.again_ns == 0) of.asked_ns = 0;
}

// Which holder is which does not matter: the one of whom more is to be said comes first.
void order_holders(world& w) {
  const auto said_of = [](const holding& of) {
    return std::tuple(of.told.units, of.unspent, of.asking, of.asked_ns, of.told.lifetime_ns,
                      of.told.again_ns, of.seen_ns, of.version, of.token, of.void_from);
  };
  if (said_of(w.holders[0]) >= said_of(w.holders[1])) return;
  std::swap(w.holders[0], w.holders[1]);
  for (question& each : w.questions)
    each.holder = static_cast<std::uint8_t>(1 - each.holder);
  for (reply& each : w.replies)
    each.holder = static_cast<std::uint8_t>(1 - each.holder);
}

template <class Act>
void for_each_lease(world& w, Act&& act) {
  for (owning& each : w.owners)
    for (moved_lease& lease : each.leases)
      act(lease);
  if (w.shard)
    for (moved_lease& lease : w.shard->leases)
      act(lease);
}

// Of questions' numbers only the order matters.
void number_questions(world& w) {
  std::vector<std::uint64_t*> all;
  for (holding& each : w.holders) {
    all.push_back(&each.token);
    all.push_back(&each.void_from);
  }
  for (question& each : w.questions) {
    all.push_back(&each.from.token);
    all.push_back(&each.settlement.void_from);
  }
  for (reply& each : w.replies)
    all.push_back(&each.to.token);
  for_each_lease(w, [&](moved_lease& lease) { all.push_back(&lease.origin.token); });
  std::map<std::uint64_t, std::uint64_t> ranks{{0, 0}};
  for (const std::uint64_t* each : all)
    ranks[*each] = 0;
  w.last_token = 0;
  for (auto& [token, rank] : ranks)
    rank = token == 0 ? 0 : ++w.last_token;
  for (std::uint64_t* each : all)
    *each = ranks[*each];
}

// Processes get small numbers: those that live, then the dead.
void number_holders(world& w) {
  numbering numbers;
  for (holding& each : w.holders)
    each.id = numbers.of(each.id);
  for (dead_holder& each : w.dead)
    each.id = numbers.of(each.id);
  for (question& each : w.questions)
    each.from.holder = numbers.of(each.from.holder);
  for (reply& each : w.replies)
    each.to.holder = numbers.of(each.to.holder);
  for_each_lease(
      w, [&](moved_lease& lease) { lease.origin.holder = numbers.of(lease.origin.holder); });
  w.last_id = holder_count + w.dead.size();
}

void number_leases(world& w) {
  numbering numbers;
  std::erase_if(w.graves, [&w](const lease_return& each) { return !knows(w, each.lease); });
  std::ranges::sort(w.questions, {}, [](const question& of) { return of.from.token; });
  std::ranges::sort(w.replies, {}, [](const reply& of) { return of.to.token; });
  std::ranges::sort(w.returns, {}, [](const returning& of) { return of.what.lease; });
  for (holding& each : w.holders)
    each.told.lease = numbers.of(each.told.lease);
  for (question& each : w.questions)
    each.settlement.lease = numbers.of(each.settlement.lease);
  for (reply& each : w.replies)
    each.told.lease = numbers.of(each.told.lease);
  for (returning& each : w.returns)
    each.what.lease = numbers.of(each.what.lease);
  const auto number_all = [&](std::vector<moved_lease>& leases) {
    std::ranges::sort(leases, {}, &moved_lease::lease);
    for (moved_lease& each : leases)
      each.lease = numbers.of(each.lease);
    std::ranges::sort(leases, {}, &moved_lease::lease);
  };
  for (owning& each : w.owners)
    number_all(each.leases);
  if (w.shard) number_all(w.shard->leases);
  for (lease_return& each : w.graves)
    each.lease = numbers.of(each.lease);
}

class bytes {
 public:
  template <class... T>
  void add(const T&... values) {
    (text_.append(reinterpret_cast<const char*>(&values), sizeof values), ...);
  }
  void add_lease(const moved_lease& of) {
    add(of.lease, of.units, of.left_ns, of.origin.holder, of.origin.token);
    for (const std::int64_t mark : of.marks)
      add(mark);
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

} // namespace

std::string key_of(world& w) {
  // Who is not the owner and can't be again knows nothing that matters.
  for (owning& each : w.owners)
    if (w.moved && w.left.moves == 0 && !each.owns && !w.shard &&
        std::ranges::none_of(w.owners, &owning::stopped))
      each.states = {}, each.leases.clear();
  for (holding& each : w.holders)
    tidy_holding(w, each);
  order_holders(w);
  number_questions(w);
  number_holders(w);
  number_leases(w);
  bytes out;
  out.add(w.now_ns, w.left, w.lost_units, w.moved, w.changed, w.truth, w.excess, w.dead.size(),
          w.graves.size(), w.questions.size(), w.replies.size(), w.returns.size());
  for (const holding& each : w.holders)
    out.add(each.told.lease, each.told.units, each.told.lifetime_ns, each.told.again_ns,
            each.asked_ns, each.seen_ns, each.version, each.asking, each.unspent, each.void_from,
            each.token, each.id);
  for (const question& each : w.questions)
    out.add(each.holder, each.events, each.requested_units, each.asked_ns, each.from.holder,
            each.from.token, each.settlement.lease, each.settlement.unspent,
            each.settlement.void_from);
  for (const reply& each : w.replies)
    out.add(each.holder, each.version, each.asked_ns, each.to.holder, each.to.token,
            each.told.lease, each.told.units, each.told.lifetime_ns, each.told.again_ns);
  for (const returning& each : w.returns)
    out.add(each.what.lease, each.what.units, each.is_certain);
  for (const dead_holder& each : w.dead)
    out.add(each.id, each.has_left, each.known_to);
  for (const lease_return& each : w.graves)
    out.add(each.lease, each.units);
  for (const owning& each : w.owners) {
    out.add(each.states, each.version, each.owns, each.stopped, each.leases.size());
    for (const moved_lease& lease : each.leases)
      out.add_lease(lease);
  }
  if (w.shard) {
    for (const counter_row& row : w.shard->rows)
      out.add(row.limit, row.at, row.used, row.previous);
    for (const moved_lease& lease : w.shard->leases)
      out.add_lease(lease);
  }
  return out.take();
}

} // namespace penstock::lease_model
