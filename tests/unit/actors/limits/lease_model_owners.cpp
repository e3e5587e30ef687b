// What owners of the shard do in the model, by the real code, and how it moves from one to the
// other.
#include "actors/base/shards.hpp"
#include "actors/limits/limit_messages.hpp"
#include "tests/unit/actors/limits/lease_model_parts.hpp"

#include <algorithm>

namespace penstock::lease_model {

bool engine::decide(world& w, std::size_t which) {
  const bool goes_on = setup_.made == mistake::decides_after_stopping;
  const auto owner = std::ranges::find_if(
      w.owners, [&](const owning& each) { return each.owns && (goes_on || !each.stopped); });
  if (owner == w.owners.end()) return false;
  const auto index = static_cast<std::size_t>(owner - w.owners.begin());
  const question asked = take_at(w.questions, which);
  acting by = load(w, index);
  const admit_item item = model_item(rules(owner->version), asked.events);
  (void)by.granter.settle(key_, asked.from.holder, asked.settlement, w.now_ns);
  const auto decided = by.ledger.decide(by.at, item, {}, w.now_ns);
  admit(w, decided.answer.granted, owner->version);
  std::array<limit_state, most_limits> before{};
  for (std::size_t i = 0; i < rules(owner->version).limits.size(); ++i)
    before[i] = by.at.entries[0].states[i];
  const bool is_dead = std::ranges::any_of(w.dead, [&](const dead_holder& each) {
    return each.id == asked.from.holder && each.known_to[index];
  });
  lease_answer told;
  if (!is_dead)
    told = by.granter.answer(by.at, item, decided, asked.requested_units, asked.from, w.now_ns);
  if (told.units > 0) forget_to_charge(w, by, told, before);
  store(w, index, by);
  ++w.series;
  if (told.units > 0 && setup_.made == mistake::outlives_the_window)
    told.lifetime_ns = terms_.lifetime_ns;
  if (w.holders[asked.holder].id == asked.from.holder)
    w.replies.push_back({asked.holder, owner->version, asked.asked_ns, asked.from, told});
  else if (told.units > 0)
    w.graves.push_back({told.lease, told.units});
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
  const auto owner =
      std::ranges::find_if(w.owners, [](const owning& each) { return each.owns && !each.stopped; });
  if (owner == w.owners.end()) return false;
  const auto index = static_cast<std::size_t>(owner - w.owners.begin());
  std::uint32_t available = UINT32_MAX;
  const auto& limits = rules(owner->version).limits;
  for (std::size_t i = 0; i < limits.size(); ++i)
    available = std::min(available, available_units(limits[i], owner->states[i], w.now_ns));
  if (available <= spare || !spend_one(w.left.crowds)) return false;
  acting by = load(w, index);
  const admit_item item = model_item(rules(owner->version), available - spare);
  admit(w, by.ledger.decide(by.at, item, {}, w.now_ns).answer.granted, owner->version);
  store(w, index, by);
  return true;
}

bool engine::give_back(world& w, std::size_t which, std::size_t owner) {
  const lease_return what = w.returns[which].what;
  auto& leases = w.owners[owner].leases;
  const auto known = std::ranges::find(leases, what.lease, &moved_lease::lease);
  if (known == leases.end()) return false;
  const moved_lease lease = *known;
  acting by = load(w, owner);
  if (setup_.made != mistake::ignores_returns) (void)by.granter.take_back(what, w.now_ns);
  const bool twice = setup_.made == mistake::refunds_twice && spend_one(w.left.losses);
  store(w, owner, by);
  if (twice)
    leases.push_back(lease);
  else
    (void)take_at(w.returns, which);
  return true;
}

bool engine::lose_return(world& w, std::size_t which) {
  const bool known = knows(w, w.returns[which].what.lease);
  if (known && !spend_one(w.left.losses)) return false;
  w.lost_units = w.lost_units || known || w.returns[which].is_certain;
  (void)take_at(w.returns, which);
  return true;
}

bool engine::reclaim(world& w, std::size_t owner) {
  if (std::ranges::all_of(w.dead, [&](const dead_holder& each) { return each.known_to[owner]; }))
    return false;
  const auto is_dead = [&w](std::uint64_t id) {
    return std::ranges::count(w.dead, id, &dead_holder::id) != 0;
  };
  for (const moved_lease& each : w.owners[owner].leases) {
    const auto grave = std::ranges::find(w.graves, each.lease, &lease_return::lease);
    if (is_dead(each.origin.holder) && grave != w.graves.end() && grave->units < each.units / 2)
      w.excess += each.units / 2 - grave->units;
  }
  acting by = load(w, owner);
  if (setup_.made == mistake::reclaims_all)
    for (const moved_lease& each : w.owners[owner].leases)
      if (is_dead(each.origin.holder))
        (void)by.granter.take_back({each.lease, each.units}, w.now_ns);
  (void)by.granter.reclaim(is_dead, w.now_ns);
  store(w, owner, by);
  for (dead_holder& each : w.dead)
    each.known_to[owner] = true;
  return true;
}

bool engine::forget(world& w, std::size_t owner) {
  acting by = load(w, owner);
  const std::size_t before = by.granter.leases();
  by.granter.collect(w.now_ns);
  if (by.granter.leases() == before) return false;
  store(w, owner, by);
  w.lost_units = true; // if they come back yet
  return true;
}

bool engine::sweep(world& w, std::size_t owner) {
  if (w.owners[owner].states == std::array<limit_state, most_limits>{}) return false;
  acting by = load(w, owner);
  if (by.ledger.sweep(w.now_ns, 10) == 0) return false;
  store(w, owner, by);
  return true;
}

bool engine::change_plan(world& w, std::size_t owner) {
  owning& at = w.owners[owner];
  if (at.version != 0 || w.left.plan_changes == 0) return false;
  if (setup_.made != mistake::remembers_over_plans) {
    acting by = load(w, owner);
    by.granter.forget_all(w.now_ns);
    store(w, owner, by);
  }
  limit_ledger ledger(std::make_shared<const std::vector<plan>>(1, rules(0)), 100,
                      std::make_shared<limit_labels>());
  const auto before = ledger.locate(model_item(rules(0), 1), w.now_ns);
  std::copy_n(at.states.begin(), rules(0).limits.size(), before.entries[0].states);
  ledger.change_plans(std::make_shared<const std::vector<plan>>(1, rules(1)), w.now_ns);
  const auto after = ledger.locate(model_item(rules(1), 1), w.now_ns);
  std::copy_n(after.entries[0].states, rules(1).limits.size(), at.states.begin());
  at.version = 1;
  w.changed = true;
  for (moved_lease& each : at.leases)
    each.plan_digest = plan_digest(rules(1));
  return true;
}

// -- moves ----------------------------------------------------------------------------------------

bool engine::stop(world& w) {
  for (owning& each : w.owners)
    if (each.owns && !each.stopped) return spend_one(w.left.moves) && (each.stopped = true);
  return false;
}

bool engine::send(world& w) {
  const std::size_t from = w.owners[0].stopped ? 0 : 1;
  if (!w.owners[from].stopped || w.shard) return false;
  acting by = load(w, from);
  w.shard = moving{by.ledger.rows_of(shard_of(model_client), w.now_ns),
                   by.granter.take_out(shard_of(model_client), w.now_ns)};
  store(w, from, by);
  w.moved = true;
  return true;
}

bool engine::lose_shard(world& w) {
  if (!w.shard || !spend_one(w.left.losses)) return false;
  w.lost_units = w.lost_units || !w.shard->leases.empty();
  w.shard.reset();
  return true;
}

bool engine::arrive(world& w) {
  if (!w.shard) return false;
  const std::size_t from = w.owners[0].stopped ? 0 : 1;
  const std::size_t to = 1 - from;
  // A node that does not know a new limit yet passes over what comes of it, and begins anew later.
  if (w.owners[from].version > w.owners[to].version) return false;
  acting by = load(w, to);
  if (setup_.made != mistake::moves_without_counters)
    for (const counter_row& row : w.shard->rows)
      by.ledger.take_in(row, w.now_ns);
  if (setup_.made != mistake::moves_without_leases)
    for (moved_lease lease : w.shard->leases) {
      if (setup_.made == mistake::moves_over_plans)
        lease.plan_digest = by.ledger.digest_of(lease.plan);
      by.granter.take_in(lease, w.now_ns);
      // It stood still for so long that what is returned is not waited for any more.
      w.lost_units = w.lost_units || lease.left_ns <= 0;
    }
  store(w, to, by);
  w.owners[to].owns = true;
  w.owners[from].owns = w.owners[from].stopped = false;
  w.shard.reset();
  return true;
}

} // namespace penstock::lease_model
