// What holders of leases do in the model, by the real code.
#include "tests/unit/actors/limits/lease_model_parts.hpp"

#include <algorithm>

namespace penstock::lease_model {

bool engine::spend(world& w, std::size_t holder, std::uint32_t units) {
  holding& by = w.holders[holder];
  if (by.is_leaving) return false;
  if (is_at(w, holder, 0)) {
    if (w.owners[0].decides()) return spend_here(w, holder, units);
    if (!w.owners[0].has_say) return false; // it asks for no lease, and spends none
  }
  lease_cache cache = load_cache(w, holder);
  const std::int64_t now_ns = holder_now(w, holder);
  std::int64_t at_ns = now_ns;
  if (setup_.made == mistake::spends_after_expiry && by.told.units > 0)
    at_ns = std::min(at_ns, by.asked_ns + now_ns - w.now_ns + by.told.lifetime_ns - 1);
  if (const auto spent = cache.spend(key_, units, at_ns)) {
    if (spent->granted == 0) return false;
    by.told.units = static_cast<std::uint32_t>(cache.units());
    by.seen_ns = w.now_ns;
    admit(w, spent->granted, by.version);
    return true;
  }
  if (by.asking)
    return false; // what is asked without a request for units is as what the crowd asks
  if (!spend_one(w.left.questions)) return false;
  (void)cache.spend(key_, hot_demand, now_ns);
  const std::uint32_t requested_units = cache.units_to_request(key_, terms_, now_ns);
  lease_settlement settlement = cache.settlement(key_);
  by.told.units = 0;
  by.unspent = settlement.unspent;
  if (setup_.made == mistake::voids_what_came) settlement.void_from = 1;
  if (setup_.made == mistake::settles_as_unspent) settlement.unspent = terms_.max_units;
  by.asking = true;
  by.token = ++w.last_token;
  by.seen_ns = w.now_ns;
  w.questions.push_back({static_cast<std::uint8_t>(holder),
                         static_cast<std::uint8_t>(units),
                         static_cast<std::uint8_t>(requested_units),
                         w.now_ns,
                         {by.id, by.token},
                         settlement});
  return true;
}

// Of its own shard a node leases nothing, and asks nobody.
bool engine::spend_here(world& w, std::size_t holder, std::uint32_t units) {
  if (w.holders[holder].asking || !spend_one(w.left.questions)) return false;
  acting by = load(w, 0);
  const admit_item item = model_item(rules(w.owners[0].version), units);
  const auto decided = by.ledger.decide(by.at, item, {}, owner_now(w, 0));
  admit(w, decided.answer.granted, w.owners[0].version);
  w.unconfirmed += decided.answer.granted;
  store(w, 0, by);
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
    lease_cache cache = load_cache(w, got.holder);
    const std::int64_t now_ns = holder_now(w, got.holder);
    (void)cache.take(key_, 0, {}, got.told, asked_ns + now_ns - w.now_ns, now_ns);
    by.told = got.told;
    by.unspent = 0;
    by.void_from = cache.settlement(key_).void_from;
    by.asked_ns = asked_ns;
    by.version = got.version;
    by.asking = false;
  } else if (got.told.units > 0) {
    w.returns.push_back({{got.told.lease, got.told.units}, false, got.holder});
  }
  return true;
}

bool engine::collect(world& w, std::size_t holder) {
  holding& by = w.holders[holder];
  lease_cache cache = load_cache(w, holder);
  const auto back = cache.collect(holder_now(w, holder));
  const bool forgot = cache.clients() == 0 && (by.told.lease != 0 || by.void_from != 0);
  if (back.empty() && !forgot) return false;
  for (const returned_units& each : back)
    w.returns.push_back({each.what, by.unspent == 0, static_cast<std::uint8_t>(holder)});
  if (setup_.made != mistake::keeps_what_it_returned) by.told.units = 0;
  by.told.lease = 0;
  by.unspent = 0;
  if (forgot) by.void_from = 0;
  return true;
}

bool engine::give_up(world& w, std::size_t holder) {
  holding& by = w.holders[holder];
  if (!by.asking || !spend_one(w.left.losses)) return false;
  lease_cache cache = load_cache(w, holder);
  cache.lost(key_, by.token);
  cache.give_up(key_);
  by.void_from = cache.settlement(key_).void_from;
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
void engine::end_process(world& w, std::size_t holder, bool has_left) {
  holding& by = w.holders[holder];
  w.graves.push_back({by.told.lease, by.told.units + by.unspent});
  for (const auto* replies : {&w.replies, &w.held})
    for (const reply& each : *replies) {
      if (each.to.holder != by.id) continue;
      w.graves.push_back({each.told.lease, each.told.units});
      w.lost_units = w.lost_units || each.told.units > 0;
    }
  for (const question& each : w.questions)
    w.lost_units = w.lost_units || each.from.holder == by.id;
  const auto is_of_it = [&](const reply& each) { return each.to.holder == by.id; };
  std::erase_if(w.replies, is_of_it);
  std::erase_if(w.held, is_of_it);
  for (returning& each : w.returns)
    if (each.by == holder) each.by = holder_count;
  w.dead.push_back({by.id, has_left, {}, static_cast<std::uint8_t>(w.views.size() - 1)});
  by = {};
  by.id = ++w.last_id;
}

// It ends, or has no say any more and is taken out.
bool engine::die(world& w, std::size_t holder) {
  if (w.holders[holder].told.lease == 0 || is_at(w, holder, 0)) return false;
  if (!spend_one(w.left.losses)) return false;
  if (setup_.made == mistake::spends_without_say) {
    w.graves.push_back({w.holders[holder].told.lease, w.holders[holder].told.units});
    w.dead.push_back({w.holders[holder].id, false, {}, 0});
  } else {
    end_process(w, holder, false);
  }
  w.lost_units = true;
  return true;
}

// It tells also of a lease that it has spent; nobody waits for an answer of it any more.
bool engine::leave(world& w, std::size_t holder) {
  holding& by = w.holders[holder];
  const bool is_used = by.told.lease != 0 || is_at(w, holder, 0);
  if (!is_used || by.asking || by.is_leaving || !spend_one(w.left.leaves)) return false;
  lease_cache cache = load_cache(w, holder);
  for (const returned_units& each : cache.collect_all())
    if (each.what.units != 0 || setup_.made != mistake::leaves_silently)
      w.returns.push_back({each.what, each.what.units != 0, static_cast<std::uint8_t>(holder)});
  w.graves.push_back({by.told.lease, by.told.units + by.unspent});
  by.told = {};
  by.unspent = 0;
  by.void_from = 0;
  by.is_leaving = true;
  return true;
}

// Its owners have heard of its leases, and its own shards are gone.
bool engine::end(world& w, std::size_t holder) {
  const auto is_by_it = [holder](const returning& each) { return each.by == holder; };
  if (!w.holders[holder].is_leaving) return false;
  if (setup_.made != mistake::ends_too_early && std::ranges::any_of(w.returns, is_by_it))
    return false;
  if (is_at(w, holder, 0)) {
    owning& node = w.owners[0];
    if (w.views.back() == 0 || node.role != shard_part::foreign || node.push_to != nobody)
      return false;
    if (node.seen + 1u != w.views.size()) return false;
    node.is_gone = true;
  }
  if (setup_.made == mistake::ends_too_early) std::erase_if(w.returns, is_by_it);
  end_process(w, holder, true);
  return true;
}

} // namespace penstock::lease_model
