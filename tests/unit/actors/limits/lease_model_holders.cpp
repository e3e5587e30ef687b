// What holders of leases do in the model, by the real code.
#include "tests/unit/actors/limits/lease_model_parts.hpp"

#include <algorithm>

namespace penstock::lease_model {

bool engine::spend(world& w, std::size_t holder, std::uint32_t units) {
  holding& by = w.holders[holder];
  lease_cache cache = load_cache(w, holder);
  std::int64_t at_ns = w.now_ns;
  if (setup_.made == mistake::spends_after_expiry && by.told.units > 0)
    at_ns = std::min(at_ns, by.asked_ns + by.told.lifetime_ns - 1);
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
  (void)cache.spend(key_, hot_demand, w.now_ns);
  const std::uint32_t requested_units = cache.units_to_request(key_, terms_, w.now_ns);
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
    (void)cache.take(key_, 0, {}, got.told, asked_ns, w.now_ns);
    by.told = got.told;
    by.unspent = 0;
    by.void_from = cache.settlement(key_).void_from;
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
  lease_cache cache = load_cache(w, holder);
  const auto back = cache.collect(w.now_ns);
  const bool forgot = cache.clients() == 0 && (by.told.lease != 0 || by.void_from != 0);
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
  for (const reply& each : w.replies) {
    if (each.to.holder != by.id) continue;
    w.graves.push_back({each.told.lease, each.told.units});
    w.lost_units = w.lost_units || each.told.units > 0;
  }
  for (const question& each : w.questions)
    w.lost_units = w.lost_units || each.from.holder == by.id;
  std::erase_if(w.replies, [&](const reply& each) { return each.to.holder == by.id; });
  w.dead.push_back({by.id, has_left, {}});
  by = {};
  by.id = ++w.last_id;
}

bool engine::die(world& w, std::size_t holder) {
  if (w.holders[holder].told.lease == 0 || !spend_one(w.left.losses)) return false;
  end_process(w, holder, false);
  w.lost_units = true;
  return true;
}

// Nobody waits for an answer of it any more, and it ends when the owner has all that it returns.
bool engine::leave(world& w, std::size_t holder) {
  const holding& by = w.holders[holder];
  if (by.told.lease == 0 || by.asking || !w.returns.empty()) return false;
  const auto owner = std::ranges::find_if(w.owners, &owning::owns);
  if (owner->stopped || !spend_one(w.left.leaves)) return false;
  const auto index = static_cast<std::size_t>(owner - w.owners.begin());
  lease_cache cache = load_cache(w, holder);
  acting at = load(w, index);
  for (const returned_units& each : cache.collect_all())
    if (each.what.units != 0 || setup_.made != mistake::leaves_silently)
      (void)at.granter.take_back(each.what, w.now_ns);
  store(w, index, at);
  end_process(w, holder, true);
  return true;
}

} // namespace penstock::lease_model
