// The model's state into the real code and back, and one step of all that may happen.
#include "actors/base/shards.hpp"
#include "tests/unit/actors/limits/lease_model_parts.hpp"

#include <utility>

namespace penstock::lease_model {

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
  w.owners[0].role = shard_part::own;
  for (std::size_t i = 0; i < holder_count; ++i)
    w.holders[i].id = i + 1;
  w.left = setup_.within;
  w.tells_holders_apart = setup_.shares_node;
  ++w.left.crowds;
  (void)crowd(w, setup_.spare);
  (void)back_up(w);
  return w;
}

// -- the real objects, from what the state says of them, and back ---------------------------------

engine::acting engine::load(const world& w, std::size_t owner) {
  const owning& from = w.owners[owner];
  limit_ledger& ledger = *ledgers_[from.version];
  acting out{ledger, lease_granter(ledger, model_leases, w.series),
             ledger.locate(model_item(rules(from.version), 1), owner_now(w, owner))};
  for (moved_lease lease : from.leases) {
    const std::int64_t over_ns = std::exchange(lease.left_ns, 1);
    for (std::size_t i = 0; i < rules(from.version).limits.size(); ++i)
      mistake_mark(lease, i, rules(from.version).limits[i], from.states[i]);
    out.granter.take_in(lease, over_ns - 1);
  }
  for (const lease_return& each : from.early)
    (void)out.granter.take_back(each, owner_now(w, owner));
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
  from.at = from.ledger.locate(model_item(rules(to.version), 1), owner_now(w, owner));
  for (std::size_t i = 0; i < rules(to.version).limits.size(); ++i)
    to.states[i] = from.at.entries[0].states[i];
  to.leases = from.granter.take_out(shard_of(model_client), 0);
}

// The cache is what it was told last, less what it spent. Its demand is always high.
lease_cache engine::load_cache(const world& w, std::size_t holder) {
  const holding& from = w.holders[holder];
  const std::int64_t now_ns = holder_now(w, holder), ahead_ns = now_ns - w.now_ns;
  lease_cache cache(1);
  (void)cache.spend(key_, hot_demand, from.seen_ns + ahead_ns);
  (void)cache.units_to_request(key_, terms_, now_ns);
  lease_answer told = from.told;
  told.units += from.unspent;
  (void)cache.take(key_, 0, {}, told, from.asked_ns + ahead_ns, now_ns);
  if (from.asking || from.unspent > 0) {
    (void)cache.units_to_request(key_, terms_, now_ns);
    if (!from.asking) cache.give_up(key_);
  }
  if (from.void_from != 0) cache.lost(key_, from.void_from);
  return cache;
}

bool engine::pass(world& w, std::uint32_t ticks) {
  if (w.left.ticks < ticks) return false;
  w.left.ticks = static_cast<std::uint8_t>(w.left.ticks - ticks);
  w.now_ns += ticks * setup_.tick_ns;
  return true;
}

bool engine::apply_to_holders(world& to, const action& step) {
  switch (step.what) {
  case act::spend:
    return spend(to, step.first, step.second);
  case act::take:
    return take(to, step.first);
  case act::collect:
    return collect(to, step.first);
  case act::give_up:
    return give_up(to, step.first);
  case act::lose_reply:
    return lose_reply(to, step.first);
  case act::die:
    return die(to, step.first);
  case act::leave:
    return leave(to, step.first);
  case act::end:
    return end(to, step.first);
  default:
    return apply_to_owners(to, step);
  }
}

bool engine::apply_to_owners(world& to, const action& step) {
  switch (step.what) {
  case act::decide:
    return decide(to, step.first);
  case act::give_back:
    return give_back(to, step.first, step.second, false);
  case act::say_again:
    return give_back(to, step.first, step.second, true);
  case act::lose_return:
    return lose_return(to, step.first);
  case act::reclaim:
    return reclaim(to, step.first);
  case act::crowd:
    return crowd(to, step.first == 0 ? 0 : setup_.spare);
  case act::change_plan:
    return change_plan(to, step.first);
  case act::forget:
    return forget(to, step.first);
  case act::sweep:
    return sweep(to, step.first);
  case act::pass:
    return pass(to, step.first);
  default:
    return apply_to_shards(to, step);
  }
}

bool engine::apply_to_shards(world& to, const action& step) {
  switch (step.what) {
  case act::move:
    return move(to, step.first, step.second != 0);
  case act::see:
    return see(to, step.first, step.second != 0);
  case act::send:
    return send(to, step.first);
  case act::lose_shard:
    return lose_shard(to, step.first);
  case act::arrive:
    return arrive(to, step.first, step.second != 0);
  case act::back_up:
    return back_up(to);
  case act::withhold:
    return withhold(to, step.first);
  case act::silence:
    return silence(to, step.first);
  case act::speak:
    return speak(to, step.first);
  case act::take_over:
    return take_over(to);
  default:
    return false;
  }
}

bool engine::apply(world& to, const action& step, std::string& why) {
  broken_.clear();
  const bool done = apply_to_holders(to, step);
  why = broken_;
  return done;
}

} // namespace penstock::lease_model
