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
  case act::end:
    return "end";
  case act::say_again:
    return "say again";
  case act::move:
    return "move";
  case act::see:
    return "see";
  case act::back_up:
    return "back up";
  case act::withhold:
    return "withhold";
  case act::silence:
    return "silence";
  case act::speak:
    return "speak";
  case act::take_over:
    return "take over";
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
         std::ranges::any_of(w.shards, [&](const moving& each) { return has(each.leases); }) ||
         has(w.copy.leases);
}

std::string text_of(const action& step) {
  return std::string(name_of(step.what)) + " " + std::to_string(step.first) + " " +
         std::to_string(step.second);
}

bool charge_truth(const limit& rule, limit_state& state, std::int64_t now_ns, std::uint32_t units,
                  std::int64_t apart_ns) {
  const std::int64_t window = rule.window_ns;
  if (rule.kind == algorithm::gcra) {
    // A window that the amount divides, so that a unit's time is exact.
    const std::int64_t unit_ns = window / rule.amount;
    const std::int64_t burst = rule.burst != 0 ? rule.burst : rule.amount;
    state.at = std::max(state.at, now_ns) + units * unit_ns;
    return state.at - now_ns <= burst * unit_ns;
  }
  if (rule.kind == algorithm::fixed_window) {
    const std::int64_t age = now_ns - state.at;
    const bool is_full = state.used + units > rule.amount;
    if (state.used == 0 || age >= window + apart_ns)
      state = {now_ns, 0, 0};
    else if (age >= window - apart_ns && is_full)
      state = {now_ns, 0, state.used};
    // Leases of the window before may not be over yet.
    if (state.previous != 0 && now_ns - state.at < 2 * apart_ns) {
      const std::uint32_t before = std::min(units, rule.amount - state.previous);
      state.previous += before;
      units -= before;
    }
    state.used += units;
    return state.used <= rule.amount;
  }
  const std::int64_t opened = now_ns - now_ns % window;
  if (state.at != opened) state = {opened, 0, opened - state.at == window ? state.used : 0};
  state.used += units;
  const std::int64_t weight = state.previous * (opened + window - now_ns);
  return state.used + (weight + window - 1) / window <= rule.amount;
}

// What the limit may admit, with what is known to come back of the dead, or to be admitted again,
// and where owners' times are apart: a gcra burst is larger by what comes back in that time, and so
// is what a sliding window weighs.
limit engine::allowed(const world& w, const limit& rule) const {
  limit out = rule;
  std::uint32_t more = w.excess + w.again;
  if (setup_.apart_ns > 0 && rule.kind != algorithm::fixed_window)
    more += static_cast<std::uint32_t>(setup_.apart_ns * rule.amount / rule.window_ns) + 1;
  if (rule.kind == algorithm::gcra)
    out.burst = (rule.burst != 0 ? rule.burst : rule.amount) + more;
  else
    out.amount += more;
  return out;
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
    if (!charge_truth(allowed(w, rule), w.truth[truth], w.now_ns, units, setup_.apart_ns))
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
  std::size_t owners = 0;
  for (std::size_t owner = 0; owner < owner_count; ++owner) {
    const owning& at = w.owners[owner];
    if (!at.owns()) continue;
    owners += at.has_say;
    if (owners > 1) return "two nodes own the shard";
    for (std::size_t i = 0; i < rules(at.version).limits.size(); ++i) {
      const limit& rule = rules(at.version).limits[i];
      const std::uint8_t truth = setup_.truth_of[at.version][i];
      const std::int64_t now_ns = owner_now(w, owner);
      // Of which of two windows a lease is, only its owner knows.
      if (setup_.apart_ns > 0 && rule.kind == algorithm::fixed_window) continue;
      const std::uint32_t left = available_units(rule, at.states[i], now_ns);
      const std::uint32_t really = available_units(allowed(w, rule), w.truth[truth], w.now_ns);
      if (left > 0 && left + outstanding(w, truth) > really)
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
  if (owner == w.owners.end()) return "nobody gets the shard";
  return check_end(w, static_cast<std::size_t>(owner - w.owners.begin()));
}

// Once all has come where it goes.
std::string engine::check_end(world& w, std::size_t owner) {
  const owning& at = w.owners[owner];
  if (owner != w.views.back()) return "another than the last view says owns the shard";
  const auto& limits = rules(at.version).limits;
  const bool exact = !w.lost_units && !w.changed;
  if (exact && std::ranges::any_of(w.returns, &returning::is_certain))
    return "nothing was lost, but nobody knows a lease that came back";
  for (std::size_t i = 0; i < limits.size(); ++i) {
    const limit_state& truth = w.truth[setup_.truth_of[at.version][i]];
    const bool over =
        is_idle(limits[i], truth, w.now_ns) && is_idle(limits[i], at.states[i], w.now_ns);
    const bool is_known = exact && limits[i].kind != algorithm::gcra && setup_.apart_ns == 0;
    if (is_known && at.states[i] != truth && !over)
      return "nothing was lost, but the owner of " + limits[i].name + " believes " +
             text_of_state(at.states[i]) + " and it is " + text_of_state(truth);
  }
  // Whatever was lost: after two windows, or when a burst is full again, all is there.
  w.now_ns += max_lease_lifetime_ns + 3'000'000'000; // the granter's grace, and the cache's memory
  acting by = load(w, owner);
  by.granter.collect(owner_now(w, owner));
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
  settle_shards(w);
  (void)back_up(w);
  while (!w.questions.empty() && decide(w, 0))
    (void)back_up(w);
  while (!w.replies.empty())
    (void)take(w, 0);
  for (std::size_t holder = 0; holder < holder_count; ++holder) {
    // Who sent something just now is waited for a little: see lease_cache::collect().
    const holding& by = w.holders[holder];
    w.now_ns = std::max(w.now_ns, std::max(by.asked_ns, by.seen_ns) + by.told.lifetime_ns);
    (void)collect(w, holder);
  }
  for (std::size_t i = 0; i < w.returns.size();) {
    bool done = false;
    for (std::size_t owner = 0; owner < owner_count && !done; ++owner)
      done = give_back(w, i, owner, false);
    if (!done) ++i;
  }
}

// Each view is seen, and the shard comes to its owner.
void engine::settle_shards(world& w) {
  bool goes_on = true;
  while (goes_on) {
    goes_on = false;
    for (std::size_t i = 0; i < owner_count; ++i) {
      const bool seen = see(w, i, false), sent = send(w, i);
      goes_on = goes_on || seen || sent;
      (void)speak(w, i);
    }
    while (!w.shards.empty()) {
      while (w.owners[w.shards[0].from].version > w.owners[w.shards[0].to].version)
        (void)change_plan(w, w.shards[0].to);
      goes_on = arrive(w, 0, false);
    }
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
                      of.told.again_ns, of.seen_ns, of.version, of.token, of.void_from,
                      of.is_leaving);
  };
  if (said_of(w.holders[0]) >= said_of(w.holders[1])) return;
  std::swap(w.holders[0], w.holders[1]);
  for (question& each : w.questions)
    each.holder = static_cast<std::uint8_t>(1 - each.holder);
  for (auto* replies : {&w.replies, &w.held})
    for (reply& each : *replies)
      each.holder = static_cast<std::uint8_t>(1 - each.holder);
  for (returning& each : w.returns)
    if (each.by != holder_count) each.by = static_cast<std::uint8_t>(1 - each.by);
}

template <class Act>
void for_each_lease(world& w, Act&& act) {
  for (owning& each : w.owners)
    for (moved_lease& lease : each.leases)
      act(lease);
  for (moving& each : w.shards)
    for (moved_lease& lease : each.leases)
      act(lease);
  for (moved_lease& lease : w.copy.leases)
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
  for (auto* replies : {&w.replies, &w.held})
    for (reply& each : *replies)
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
  for (auto* replies : {&w.replies, &w.held})
    for (reply& each : *replies)
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
  std::ranges::sort(w.held, {}, [](const reply& of) { return of.to.token; });
  std::ranges::sort(w.returns, {}, [](const returning& of) { return of.what.lease; });
  for (holding& each : w.holders)
    each.told.lease = numbers.of(each.told.lease);
  for (question& each : w.questions)
    each.settlement.lease = numbers.of(each.settlement.lease);
  for (auto* replies : {&w.replies, &w.held})
    for (reply& each : *replies)
      each.told.lease = numbers.of(each.told.lease);
  for (returning& each : w.returns)
    each.what.lease = numbers.of(each.what.lease);
  const auto number_all = [&](std::vector<moved_lease>& leases) {
    std::ranges::sort(leases, {}, &moved_lease::lease);
    for (moved_lease& each : leases)
      each.lease = numbers.of(each.lease);
    std::ranges::sort(leases, {}, &moved_lease::lease);
  };
  for (owning& each : w.owners) {
    number_all(each.leases);
    for (lease_return& early : each.early)
      early.lease = numbers.of(early.lease);
  }
  for (moving& each : w.shards)
    number_all(each.leases);
  number_all(w.copy.leases);
  for (lease_return& each : w.graves)
    each.lease = numbers.of(each.lease);
}

// Views that all have seen, and whom they named, say nothing any more; nor does who is not the
// owner and can't be again.
void tidy_owners(world& w) {
  const bool is_still = w.left.moves == 0 && w.shards.empty() &&
                        std::ranges::all_of(w.owners, [&](const owning& each) {
                          return each.is_gone || each.owns() ||
                                 (each.role == shard_part::foreign && each.push_to == nobody);
                        });
  const auto last = static_cast<std::uint8_t>(w.views.size() - 1);
  for (std::uint8_t i = 0; i < owner_count; ++i) {
    owning& each = w.owners[i];
    // It has no part in the next view.
    while (each.seen < last && each.role == shard_part::foreign && each.push_to == nobody &&
           w.views[each.seen] != i && w.views[each.seen + 1u] != i)
      ++each.seen;
  }
  const bool all_see = std::ranges::all_of(
      w.owners, [last](const owning& each) { return each.is_gone || each.seen == last; });
  for (owning& each : w.owners) {
    if (is_still && all_see && w.moved && !each.owns()) each.states = {}, each.leases.clear();
    if (is_still && all_see) each.arrived = 0, each.early.clear();
    if (each.role != shard_part::arriving) each.waits_for = nobody, each.waits_since = 0;
    if (each.is_gone) each = owning{.is_gone = true};
  }
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
  void add_reply(const reply& of) {
    add(of.holder, of.version, of.asked_ns, of.to.holder, of.to.token, of.told.lease, of.told.units,
        of.told.lifetime_ns, of.told.again_ns);
  }
  void add_shard(const moving& of) {
    add(of.from, of.to, of.epoch, of.rows.size(), of.leases.size());
    for (const counter_row& row : of.rows)
      add(row.limit, row.at, row.used, row.previous);
    for (const moved_lease& lease : of.leases)
      add_lease(lease);
  }
  void add_owner(const owning& of) {
    add(of.states, of.version, of.role, of.seen, of.waits_for, of.waits_since, of.arrived,
        of.push_to, of.is_sent, of.has_say, of.is_gone, of.leases.size(), of.early.size());
    for (const moved_lease& lease : of.leases)
      add_lease(lease);
    for (const lease_return& each : of.early)
      add(each.lease, each.units);
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

} // namespace

std::string key_of(world& w) {
  tidy_owners(w);
  for (holding& each : w.holders)
    tidy_holding(w, each);
  if (!w.tells_holders_apart) order_holders(w);
  number_questions(w);
  number_holders(w);
  number_leases(w);
  bytes out;
  out.add(w.now_ns, w.left, w.lost_units, w.moved, w.changed, w.truth, w.excess, w.again,
          w.unconfirmed, w.dead.size(), w.graves.size(), w.questions.size(), w.replies.size(),
          w.held.size(), w.returns.size(), w.shards.size(), w.views.size());
  for (const std::uint8_t each : w.views)
    out.add(each);
  for (const holding& each : w.holders)
    out.add(each.told.lease, each.told.units, each.told.lifetime_ns, each.told.again_ns,
            each.asked_ns, each.seen_ns, each.version, each.asking, each.is_leaving, each.unspent,
            each.void_from, each.token, each.id);
  for (const question& each : w.questions)
    out.add(each.holder, each.events, each.requested_units, each.asked_ns, each.from.holder,
            each.from.token, each.settlement.lease, each.settlement.unspent,
            each.settlement.void_from);
  for (const auto* replies : {&w.replies, &w.held})
    for (const reply& each : *replies)
      out.add_reply(each);
  for (const returning& each : w.returns)
    out.add(each.what.lease, each.what.units, each.is_certain, each.by);
  for (const dead_holder& each : w.dead)
    out.add(each.id, each.has_left, each.known_to, each.since);
  for (const lease_return& each : w.graves)
    out.add(each.lease, each.units);
  for (const owning& each : w.owners)
    out.add_owner(each);
  for (const moving& each : w.shards)
    out.add_shard(each);
  out.add_shard(w.copy);
  return out.take();
}

} // namespace penstock::lease_model
