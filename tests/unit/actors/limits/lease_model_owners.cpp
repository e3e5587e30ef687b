// What owners of the shard do in the model, by the real code.
#include "actors/limits/limit_messages.hpp"
#include "tests/unit/actors/limits/lease_model_parts.hpp"

#include <algorithm>

namespace penstock::lease_model {

// The one that may; with the mistakes of going on, one that should not.
std::optional<std::size_t> engine::decider(const world& w) const {
  const bool after_stopping = setup_.made == mistake::decides_after_stopping;
  const bool without_say = setup_.made == mistake::decides_without_say;
  for (std::size_t i = 0; i < owner_count; ++i) {
    const owning& each = w.owners[i];
    const bool owns = each.owns() || (after_stopping && each.push_to != nobody);
    if (owns && (each.has_say || without_say)) return i;
  }
  return std::nullopt;
}

// Nodes that have had no part yet are alike: the second comes before the third.
bool engine::has_part(const world& w, std::size_t owner) const {
  const auto is_named = [&w](std::uint8_t node) { return std::ranges::count(w.views, node) != 0; };
  return owner < 2 || setup_.has_backup || is_named(2) || (is_named(1) && w.left.moves > 0);
}

bool engine::decide(world& w, std::size_t which) {
  const auto index = decider(w);
  if (!index) return false;
  const owning& owner = w.owners[*index];
  const std::int64_t now_ns = owner_now(w, *index);
  const question asked = take_at(w.questions, which);
  acting by = load(w, *index);
  const admit_item item = model_item(rules(owner.version), asked.events);
  // Where the shard has come to the node that asks, that decides by itself.
  const bool is_own = is_at(w, asked.holder, *index);
  if (!is_own) (void)by.granter.settle(key_, asked.from.holder, asked.settlement, now_ns);
  const auto decided = by.ledger.decide(by.at, item, {}, now_ns);
  admit(w, decided.answer.granted, owner.version);
  w.unconfirmed += decided.answer.granted;
  std::array<limit_state, most_limits> before{};
  for (std::size_t i = 0; i < rules(owner.version).limits.size(); ++i)
    before[i] = by.at.entries[0].states[i];
  const bool is_dead = std::ranges::any_of(w.dead, [&](const dead_holder& each) {
    return each.id == asked.from.holder && each.known_to[*index];
  });
  lease_answer told;
  if (!is_dead && !is_own)
    told = by.granter.answer(by.at, item, decided, asked.requested_units, asked.from, now_ns);
  if (told.units > 0) forget_to_charge(w, by, told, before);
  store(w, *index, by);
  ++w.series;
  if (told.units > 0 && setup_.made == mistake::outlives_the_window)
    told.lifetime_ns = terms_.lifetime_ns;
  if (told.units > 0 && setup_.made == mistake::compares_clocks)
    told.lifetime_ns += now_ns - holder_now(w, asked.holder);
  reply answer{asked.holder, owner.version, asked.asked_ns, asked.from, told};
  holding& holder = w.holders[asked.holder];
  if (holder.id != asked.from.holder) {
    if (told.units > 0) w.graves.push_back({told.lease, told.units});
  } else if (is_own) {
    if (holder.token == asked.from.token) holder.asking = false;
  } else if (setup_.has_backup && told.units > 0 && setup_.made != mistake::tells_before_backup) {
    w.held.push_back(answer);
  } else {
    w.replies.push_back(answer);
  }
  return true;
}

// The mistakes of charging too little.
void engine::forget_to_charge(const world& w, acting& at, const lease_answer& told,
                              const std::array<limit_state, most_limits>& before) {
  const auto& limits = at.ledger.rules_of(plan_id(rules(0).name))->limits;
  for (std::size_t i = 0; i < limits.size(); ++i) {
    limit_state& state = at.at.entries[0].states[i];
    if (setup_.made == mistake::forgets_to_charge) state = before[i];
    if (setup_.made == mistake::charges_as_of_now && limits[i].kind == algorithm::gcra)
      state = charge(limits[i], before[i], w.now_ns, told.units);
  }
}

bool engine::crowd(world& w, std::uint32_t spare) {
  const auto index = decider(w);
  if (!index) return false;
  const owning& owner = w.owners[*index];
  const std::int64_t now_ns = owner_now(w, *index);
  std::uint32_t available = UINT32_MAX;
  const auto& limits = rules(owner.version).limits;
  for (std::size_t i = 0; i < limits.size(); ++i)
    available = std::min(available, available_units(limits[i], owner.states[i], now_ns));
  if (available <= spare || !spend_one(w.left.crowds)) return false;
  acting by = load(w, *index);
  const admit_item item = model_item(rules(owner.version), available - spare);
  const auto decided = by.ledger.decide(by.at, item, {}, now_ns);
  admit(w, decided.answer.granted, owner.version);
  w.unconfirmed += decided.answer.granted;
  store(w, *index, by);
  return true;
}

// As shard_owner::take_back() and lease_granter::take_back() have it: who does not own the shard,
// nor waits for it, says so, and the return stays with its holder.
bool engine::give_back(world& w, std::size_t which, std::size_t owner, bool comes_again) {
  const lease_return what = w.returns[which].what;
  owning& to = w.owners[owner];
  if (to.is_gone) return false;
  if (setup_.made == mistake::returns_to_anybody && to.role == shard_part::foreign &&
      w.views.size() > 1)
    return (void)take_at(w.returns, which), true;
  const auto known = std::ranges::find(to.leases, what.lease, &moved_lease::lease);
  const bool is_known = known != to.leases.end();
  if (to.role == shard_part::foreign || (to.owns() && !is_known)) return false;
  if (comes_again && !spend_one(w.left.repeats)) return false;
  if (!is_known && setup_.made != mistake::forgets_early_returns) {
    const auto same = std::ranges::find(to.early, what.lease, &lease_return::lease);
    if (same != to.early.end()) return false;
    to.early.push_back(what);
    // Whoever hears of another owner says it again; see lease_returns.
    comes_again = comes_again || owner != w.views.back();
  }
  bool twice = false;
  if (is_known) {
    const moved_lease lease = *known;
    acting by = load(w, owner);
    if (setup_.made != mistake::ignores_returns)
      (void)by.granter.take_back(what, owner_now(w, owner));
    twice = setup_.made == mistake::refunds_twice && spend_one(w.left.losses);
    store(w, owner, by);
    if (twice) to.leases.push_back(lease);
  }
  if (comes_again)
    w.returns[which].is_certain = false;
  else if (!twice)
    (void)take_at(w.returns, which);
  return true;
}

bool engine::lose_return(world& w, std::size_t which) {
  const std::uint8_t by = w.returns[which].by;
  if (by != holder_count && w.holders[by].is_leaving) return false; // it says it until it is taken
  const bool known = knows(w, w.returns[which].what.lease);
  if (known && !spend_one(w.left.losses)) return false;
  w.lost_units = w.lost_units || known || w.returns[which].is_certain;
  (void)take_at(w.returns, which);
  return true;
}

// Views come in order: who sees that a process is gone has seen where the shard goes. Leases that
// are to go with it are reclaimed by who gets them, after what came back early.
bool engine::reclaim(world& w, std::size_t owner) {
  owning& at = w.owners[owner];
  if (!at.has_say || at.is_gone || !has_part(w, owner)) return false;
  bool is_news = false;
  for (dead_holder& each : w.dead) {
    if (each.since > at.seen || each.known_to[owner]) continue;
    each.known_to[owner] = is_news = true;
  }
  const auto is_dead = [&](std::uint64_t id) {
    return std::ranges::any_of(
        w.dead, [&](const dead_holder& each) { return each.id == id && each.known_to[owner]; });
  };
  const auto is_of_dead = [&](const moved_lease& each) { return is_dead(each.origin.holder); };
  if (!at.owns() && setup_.made != mistake::reclaims_before_move) return is_news;
  if (!is_news && std::ranges::none_of(at.leases, is_of_dead)) return false;
  for (const moved_lease& each : at.leases) {
    const auto grave = std::ranges::find(w.graves, each.lease, &lease_return::lease);
    if (is_of_dead(each) && grave != w.graves.end() && grave->units < each.units / 2)
      w.excess += each.units / 2 - grave->units;
  }
  acting by = load(w, owner);
  if (setup_.made == mistake::reclaims_all)
    for (const moved_lease& each : at.leases)
      if (is_of_dead(each))
        (void)by.granter.take_back({each.lease, each.units}, owner_now(w, owner));
  (void)by.granter.reclaim([&](std::uint64_t holder, std::uint64_t) { return is_dead(holder); },
                           owner_now(w, owner));
  store(w, owner, by);
  return true;
}

bool engine::forget(world& w, std::size_t owner) {
  acting by = load(w, owner);
  const std::size_t before = by.granter.leases();
  by.granter.collect(owner_now(w, owner));
  if (by.granter.leases() == before) return false;
  store(w, owner, by);
  w.lost_units = true; // if they come back yet
  return true;
}

bool engine::sweep(world& w, std::size_t owner) {
  if (w.owners[owner].states == std::array<limit_state, most_limits>{}) return false;
  acting by = load(w, owner);
  if (by.ledger.sweep(owner_now(w, owner), 10) == 0) return false;
  store(w, owner, by);
  return true;
}

bool engine::change_plan(world& w, std::size_t owner) {
  owning& at = w.owners[owner];
  if (at.version != 0 || at.is_gone || w.left.plan_changes == 0 || !has_part(w, owner))
    return false;
  if (setup_.made != mistake::remembers_over_plans) {
    acting by = load(w, owner);
    by.granter.forget_all(owner_now(w, owner));
    store(w, owner, by);
  }
  limit_ledger ledger(std::make_shared<const std::vector<plan>>(1, rules(0)), 100,
                      std::make_shared<limit_labels>());
  const auto before = ledger.locate(model_item(rules(0), 1), owner_now(w, owner));
  std::copy_n(at.states.begin(), rules(0).limits.size(), before.entries[0].states);
  ledger.change_plans(std::make_shared<const std::vector<plan>>(1, rules(1)), owner_now(w, owner));
  const auto after = ledger.locate(model_item(rules(1), 1), owner_now(w, owner));
  std::copy_n(after.entries[0].states, rules(1).limits.size(), at.states.begin());
  at.version = 1;
  w.changed = true;
  for (moved_lease& each : at.leases)
    each.plan_digest = plan_digest(rules(1));
  return true;
}

} // namespace penstock::lease_model
