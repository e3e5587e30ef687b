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
  for (std::size_t i = 0; i < rules(from.version).limits.size(); ++i)
    out.at.entries[0].states[i] = from.states[i];
  for (moved_lease lease : from.leases) {
    const std::int64_t over_ns = std::exchange(lease.left_ns, 1);
    for (std::size_t i = 0; i < rules(from.version).limits.size(); ++i)
      mistake_mark(lease, i, rules(from.version).limits[i], from.states[i], w.now_ns);
    out.desk.take_in(lease, over_ns - 1);
  }
  return out;
}

// The mistakes of refunding too much.
void engine::mistake_mark(moved_lease& of, std::size_t which, const limit& rule,
                          const limit_state& state, std::int64_t now_ns) const {
  std::int64_t& mark = of.marks[which];
  const bool is_gcra = rule.kind == algorithm::gcra;
  if (setup_.made == mistake::refunds_any_window && !is_gcra) mark = state.at;
  const std::int64_t units_ns = of.units * (rule.window_ns / rule.amount);
  if (setup_.made == mistake::refunds_in_full && is_gcra && mark < now_ns &&
      now_ns <= mark + units_ns)
    mark = now_ns;
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
  (void)purse.wish(key_, terms_);
  (void)purse.take(key_, 0, {}, from.told, from.asked_ns, w.now_ns);
  if (from.asking) (void)purse.wish(key_, terms_);
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
  (void)purse.spend(key_, hot_demand, w.now_ns);
  const std::uint32_t wish = purse.wish(key_, terms_);
  if (!spend_one(w.left.questions)) return false;
  by.asking = true;
  by.seen_ns = w.now_ns;
  w.questions.push_back({static_cast<std::uint8_t>(holder), static_cast<std::uint8_t>(units),
                         static_cast<std::uint8_t>(wish), false, w.now_ns});
  return true;
}

bool engine::take(world& w, std::size_t which) {
  const reply got = take_at(w.replies, which);
  holding& by = w.holders[got.holder];
  const bool late = setup_.made == mistake::counts_from_arrival;
  const std::int64_t asked_ns = late ? w.now_ns : got.asked_ns;
  lease_purse purse = load_purse(w, got.holder);
  if (const auto back = purse.take(key_, 0, {}, got.told, asked_ns, w.now_ns))
    w.returns.push_back(back->what);
  by = {got.told, asked_ns, by.seen_ns, got.version, false};
  return true;
}

bool engine::collect(world& w, std::size_t holder) {
  lease_purse purse = load_purse(w, holder);
  const auto back = purse.collect(w.now_ns);
  if (back.empty()) return false;
  for (const returned_units& each : back)
    w.returns.push_back(each.what);
  if (setup_.made != mistake::keeps_what_it_returned) w.holders[holder].told.units = 0;
  return true;
}

bool engine::give_up(world& w, std::size_t holder) {
  if (!w.holders[holder].asking || !spend_one(w.left.losses)) return false;
  w.holders[holder].asking = false;
  for (question& each : w.questions)
    if (each.holder == holder) each.given_up = true;
  std::erase_if(w.replies, [&](const reply& each) {
    if (each.holder != holder) return false;
    w.lost_units = w.lost_units || each.told.units > 0;
    return true;
  });
  return true;
}

bool engine::die(world& w, std::size_t holder) {
  if (w.holders[holder].told.units == 0 || w.left.losses == 0) return false;
  if (!(w.holders[holder].asking && give_up(w, holder))) --w.left.losses;
  w.holders[holder] = {};
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
  const auto decided = by.ledger.decide(by.at, item, {}, w.now_ns);
  admit(w, decided.answer.granted, owner->version);
  std::array<limit_state, most_limits> before{};
  for (std::size_t i = 0; i < rules(owner->version).limits.size(); ++i)
    before[i] = by.at.entries[0].states[i];
  lease_answer told = by.desk.answer(by.at, item, decided, asked.wish, w.now_ns);
  if (told.units > 0) forget_to_charge(w, by, told, before);
  store(w, index, by);
  ++w.series;
  if (told.units > 0 && setup_.made == mistake::outlives_the_window)
    told.lifetime_ns = terms_.lifetime_ns();
  if (!asked.given_up)
    w.replies.push_back({asked.holder, owner->version, asked.asked_ns, told});
  else if (told.units > 0)
    w.lost_units = true;
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
  const lease_return what = w.returns[which];
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
  const bool known = std::ranges::any_of(w.owners, [&](const owning& each) {
    return std::ranges::count(each.leases, w.returns[which].lease, &moved_lease::lease) != 0;
  });
  if (known && !spend_one(w.left.losses)) return false;
  (void)take_at(w.returns, which);
  w.lost_units = true;
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
  limit_ledger ledger(std::make_shared<const std::vector<plan>>(1, rules(0)), 100,
                      std::make_shared<limit_labels>());
  const auto before = ledger.locate(model_item(rules(0), 1), w.now_ns);
  std::copy_n(at.states.begin(), rules(0).limits.size(), before.entries[0].states);
  ledger.change_plans(std::make_shared<const std::vector<plan>>(1, rules(1)), w.now_ns);
  const auto after = ledger.locate(model_item(rules(1), 1), w.now_ns);
  std::copy_n(after.entries[0].states, rules(1).limits.size(), at.states.begin());
  at.version = 1;
  w.changed = true;
  if (setup_.made == mistake::remembers_over_plans) {
    for (moved_lease& each : at.leases)
      each.plan_digest = plan_digest(rules(1));
    return true;
  }
  lease_desk desk = load(w, owner).desk;
  desk.forget_all();
  at.leases = desk.take_out(shard_of(model_client), 0);
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
    case act::die:
      return die(to, step.first);
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
