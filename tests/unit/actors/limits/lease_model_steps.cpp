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
  acting out{ledger, lease_granter(ledger, model_leases, w.series),
             ledger.locate(model_item(rules(from.version), 1), w.now_ns)};
  for (moved_lease lease : from.leases) {
    const std::int64_t over_ns = std::exchange(lease.left_ns, 1);
    for (std::size_t i = 0; i < rules(from.version).limits.size(); ++i)
      mistake_mark(lease, i, rules(from.version).limits[i], from.states[i]);
    out.granter.take_in(lease, over_ns - 1);
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
  to.leases = from.granter.take_out(shard_of(model_client), 0);
}

// The cache is what it was told last, less what it spent. Its demand is always high.
lease_cache engine::load_cache(const world& w, std::size_t holder) {
  const holding& from = w.holders[holder];
  lease_cache cache(1);
  (void)cache.spend(key_, hot_demand, from.seen_ns);
  (void)cache.units_to_request(key_, terms_, w.now_ns);
  lease_answer told = from.told;
  told.units += from.unspent;
  (void)cache.take(key_, 0, {}, told, from.asked_ns, w.now_ns);
  if (from.asking || from.unspent > 0) {
    (void)cache.units_to_request(key_, terms_, w.now_ns);
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
    case act::leave:
      return leave(to, step.first);
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
