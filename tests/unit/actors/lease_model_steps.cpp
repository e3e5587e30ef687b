// What can happen in the model, by the real code.
#include "tests/unit/actors/lease_model.hpp"

#include <algorithm>
#include <utility>

namespace penstock::lease_model {

namespace {

constexpr std::uint64_t model_client = 5;
constexpr std::size_t model_leases = 100;
// So many events were asked for that a holder wishes for all it may have.
constexpr std::uint32_t hot_demand = 1000;

admit_item model_item(const plan& rules, std::uint32_t events) {
  return {.client = model_client, .plan = plan_id(rules.name), .events = events};
}

template <class T>
T take_at(std::vector<T>& from, std::size_t which) {
  T out = std::move(from[which]);
  from.erase(from.begin() + static_cast<std::ptrdiff_t>(which));
  return out;
}

bool spend_one(std::uint8_t& budget) {
  if (budget == 0) return false;
  --budget;
  return true;
}

} // namespace

engine::engine(const setup& what) : setup_(what), terms_(terms_of(what.plans[0], all_limits)) {
  for (std::size_t i = 0; i < ledgers_.size(); ++i)
    ledgers_[i] =
        std::make_unique<limit_ledger>(std::make_shared<const std::vector<plan>>(1, what.plans[i]),
                                       100, std::make_shared<limit_labels>());
  key_ = lease_key_of(what.plans[0], {model_client, 0, plan_id(what.plans[0].name), 0, all_limits});
}

engine::~engine() = default;

world engine::start() {
  world w;
  w.owners[0].owns = true;
  for (std::size_t i = 0; i < holder_count; ++i)
    w.holders[i].id = i + 1;
  w.left = setup_.within;
  ++w.left.crowds;
  (void)crowd(w, setup_.spare);
  return w;
}

// -- the real objects, from what the state says of them, and back ---------------------------------

engine::acting engine::load(const world& w, std::size_t owner) {
  const owning& from = w.owners[owner];
  limit_ledger& ledger = *ledgers_[from.version];
  acting out{ledger, lease_desk(ledger, model_leases, w.series),
             ledger.locate(model_item(rules(from.version), 1), w.now_ns)};
  for (moved_lease lease : from.leases) {
    const std::int64_t over_ns = std::exchange(lease.left_ns, 1);
    for (std::size_t i = 0; i < rules(from.version).limits.size(); ++i)
      mistake_mark(lease, i, rules(from.version).limits[i], from.states[i]);
    out.desk.take_in(lease, over_ns - 1);
  }
  // What is reserved for these leases is in the states.
  for (std::size_t i = 0; i < rules(from.version).limits.size(); ++i)
    out.at.entries[0].states[i] = from.states[i];
  return out;
}

// The mistake of refunding to a later window.
void engine::mistake_mark(moved_lease& of, std::size_t which, const limit& rule,
                          const limit_state& state) const {
  if (setup_.made == mistake::refunds_any_window && rule.kind != algorithm::gcra)
    of.marks[which] = state.at;
}

void engine::store(world& w, std::size_t owner, acting& from) {
  owning& to = w.owners[owner];
  from.at = from.ledger.locate(model_item(rules(to.version), 1), w.now_ns);
  for (std::size_t i = 0; i < rules(to.version).limits.size(); ++i)
    to.states[i] = from.at.entries[0].states[i];
  to.leases = from.desk.take_out(shard_of(model_client), 0);
}

// The purse is what it was told last, less what it spent. Its demand is always high.
lease_purse engine::load_purse(const world& w, std::size_t holder) {
  const holding& from = w.holders[holder];
  lease_purse purse(1);
  (void)purse.spend(key_, hot_demand, from.seen_ns);
  (void)purse.wish(key_, terms_, w.now_ns);
  lease_answer told = from.told;
  told.units += from.unspent;
  (void)purse.take(key_, 0, {}, told, from.asked_ns, w.now_ns);
  if (from.asking || from.unspent > 0) {
    (void)purse.wish(key_, terms_, w.now_ns);
    if (!from.asking) purse.give_up(key_);
  }
  if (from.void_from != 0) purse.lost(key_, from.void_from);
  return purse;
}

// -- holders --------------------------------------------------------------------------------------

bool engine::spend(world& w, std::size_t holder, std::uint32_t units) {
  holding& by = w.holders[holder];
  lease_purse purse = load_purse(w, holder);
  std::int64_t at_ns = w.now_ns;
  if (setup_.made == mistake::spends_after_expiry && by.told.units > 0)
    at_ns = std::min(at_ns, by.asked_ns + by.told.lifetime_ns - 1);
  if (const auto spent = purse.spend(key_, units, at_ns)) {
    if (spent->granted == 0) return false;
    by.told.units = static_cast<std::uint32_t>(purse.units());
    by.seen_ns = w.now_ns;
    admit(w, spent->granted, by.version);
    return true;
  }
  if (by.asking) return false; // what is asked without a wish is as what the crowd asks
  if (!spend_one(w.left.questions)) return false;
  (void)purse.spend(key_, hot_demand, w.now_ns);
  const std::uint32_t wish = purse.wish(key_, terms_, w.now_ns);
  lease_claim claim = purse.claim(key_);
  by.told.units = 0;
  by.unspent = claim.unspent;
  if (setup_.made == mistake::voids_what_came) claim.void_from = 1;
  if (setup_.made == mistake::settles_as_unspent) claim.unspent = terms_.max_units;
  by.asking = true;
  by.token = ++w.last_token;
  by.seen_ns = w.now_ns;
  w.questions.push_back({static_cast<std::uint8_t>(holder), static_cast<std::uint8_t>(units),
                         static_cast<std::uint8_t>(wish), w.now_ns, {by.id, by.token}, claim});
  return true;
}

static bool is_awaited(const world& w, const reply& which) {
  const holding& by = w.holders[which.holder];
  return by.asking && by.token == which.to.token;
}

bool engine::take(world& w, std::size_t which) {
  const reply got = take_at(w.replies, which);
  holding& by = w.holders[got.holder];
  if (by.asking && by.token == got.to.token) {
    const bool late = setup_.made == mistake::counts_from_arrival;
    const std::int64_t asked_ns = late ? w.now_ns : got.asked_ns;
    lease_purse purse = load_purse(w, got.holder);
    (void)purse.take(key_, 0, {}, got.told, asked_ns, w.now_ns);
    by.told = got.told;
    by.unspent = 0;
    by.void_from = purse.claim(key_).void_from;
    by.asked_ns = asked_ns;
    by.version = got.version;
    by.asking = false;
  } else if (got.told.units > 0) {
    w.returns.push_back({{got.told.lease, got.told.units}, false});
  }
  return true;
}

bool engine::collect(world& w, std::size_t holder) {
  holding& by = w.holders[holder];
  lease_purse purse = load_purse(w, holder);
  const auto back = purse.collect(w.now_ns);
  const bool forgot = purse.clients() == 0 && (by.told.lease != 0 || by.void_from != 0);
  if (back.empty() && !forgot) return false;
  for (const returned_units& each : back)
    w.returns.push_back({each.what, by.unspent == 0});
  if (setup_.made != mistake::keeps_what_it_returned) by.told.units = 0;
  by.told.lease = 0;
  by.unspent = 0;
  if (forgot) by.void_from = 0;
  return true;
}

bool engine::give_up(world& w, std::size_t holder) {
  holding& by = w.holders[holder];
  if (!by.asking || !spend_one(w.left.losses)) return false;
  lease_purse purse = load_purse(w, holder);
  purse.lost(key_, by.token);
  purse.give_up(key_);
  by.void_from = purse.claim(key_).void_from;
  by.asking = false;
  return true;
}

bool engine::lose_reply(world& w, std::size_t which) {
  if (is_awaited(w, w.replies[which])) return false;
  w.lost_units = w.lost_units || w.replies[which].told.units > 0;
  (void)take_at(w.replies, which);
  return true;
}

// What it asked is still on its way; what it is answered nobody takes.
bool engine::die(world& w, std::size_t holder) {
  holding& by = w.holders[holder];
  if (by.told.lease == 0 || !spend_one(w.left.losses)) return false;
  w.graves.push_back({by.told.lease, by.told.units + by.unspent});
  for (const reply& each : w.replies)
    if (each.to.holder == by.id) w.graves.push_back({each.told.lease, each.told.units});
  std::erase_if(w.replies, [&](const reply& each) { return each.to.holder == by.id; });
  w.dead.push_back({by.id, {}});
  by = {};
  by.id = ++w.last_id;
  w.lost_units = true;
  return true;
}

// -- owners ---------------------------------------------------------------------------------------

bool engine::decide(world& w, std::size_t which) {
  const bool goes_on = setup_.made == mistake::decides_after_stopping;
  const auto owner = std::ranges::find_if(
      w.owners, [&](const owning& each) { return each.owns && (goes_on || !each.stopped); });
  if (owner == w.owners.end()) return false;
  const auto index = static_cast<std::size_t>(owner - w.owners.begin());
  const question asked = take_at(w.questions, which);
  acting by = load(w, index);
  const admit_item item = model_item(rules(owner->version), asked.events);
  (void)by.desk.settle(key_, asked.from.holder, asked.claim, w.now_ns);
  const auto decided = by.ledger.decide(by.at, item, {}, w.now_ns);
  admit(w, decided.answer.granted, owner->version);
  std::array<limit_state, most_limits> before{};
  for (std::size_t i = 0; i < rules(owner->version).limits.size(); ++i)
    before[i] = by.at.entries[0].states[i];
  const bool is_dead = std::ranges::any_of(w.dead, [&](const dead_holder& each) {
    return each.id == asked.from.holder && each.known_to[index];
  });
  lease_answer told;
  if (!is_dead) told = by.desk.answer(by.at, item, decided, asked.wish, asked.from, w.now_ns);
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
  if (setup_.made != mistake::ignores_returns) (void)by.desk.take_back(what, w.now_ns);
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
        (void)by.desk.take_back({each.lease, each.units}, w.now_ns);
  (void)by.desk.reclaim(is_dead, w.now_ns);
  store(w, owner, by);
  for (dead_holder& each : w.dead)
    each.known_to[owner] = true;
  return true;
}

bool engine::forget(world& w, std::size_t owner) {
  acting by = load(w, owner);
  const std::size_t before = by.desk.leases();
  by.desk.collect(w.now_ns);
  if (by.desk.leases() == before) return false;
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
    by.desk.forget_all(w.now_ns);
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
                   by.desk.take_out(shard_of(model_client), w.now_ns)};
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
      by.desk.take_in(lease, w.now_ns);
      // It stood still for so long that what is returned is not waited for any more.
      w.lost_units = w.lost_units || lease.left_ns <= 0;
    }
  store(w, to, by);
  w.owners[to].owns = true;
  w.owners[from].owns = w.owners[from].stopped = false;
  w.shard.reset();
  return true;
}

bool engine::pass(world& w, std::uint32_t ticks) {
  if (w.left.ticks < ticks) return false;
  w.left.ticks = static_cast<std::uint8_t>(w.left.ticks - ticks);
  w.now_ns += ticks * setup_.tick_ns;
  return true;
}

bool engine::apply(world& to, const action& step, std::string& why) {
  broken_.clear();
  const auto once = [&] {
    switch (step.what) {
    case act::spend:
      return spend(to, step.first, step.second);
    case act::decide:
      return decide(to, step.first);
    case act::take:
      return take(to, step.first);
    case act::collect:
      return collect(to, step.first);
    case act::give_back:
      return give_back(to, step.first, step.second);
    case act::lose_return:
      return lose_return(to, step.first);
    case act::give_up:
      return give_up(to, step.first);
    case act::lose_reply:
      return lose_reply(to, step.first);
    case act::die:
      return die(to, step.first);
    case act::reclaim:
      return reclaim(to, step.first);
    case act::crowd:
      return crowd(to, step.first == 0 ? 0 : setup_.spare);
    case act::stop:
      return stop(to);
    case act::send:
      return send(to);
    case act::lose_shard:
      return lose_shard(to);
    case act::arrive:
      return arrive(to);
    case act::change_plan:
      return change_plan(to, step.first);
    case act::forget:
      return forget(to, step.first);
    case act::sweep:
      return sweep(to, step.first);
    case act::pass:
      return pass(to, step.first);
    }
    return false;
  };
  const bool done = once();
  why = broken_;
  return done;
}

} // namespace penstock::lease_model
