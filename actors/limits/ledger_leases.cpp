#include "actors/limits/ledger_leases.hpp"

#include "actors/limits/limits.hpp"
#include "storage/base/assert.hpp"

#include <algorithm>

namespace penstock {

lease_terms ledger_leases::terms(const ledger_location& at, limit_mask applying) {
  return terms_of(at.in->rules, applying);
}

lease_key ledger_leases::key_of(const ledger_location& at, const admit_item& item) {
  return lease_key_of(at.in->rules, {item.client, item.key, item.plan, item.stream, item.limits});
}

ledger_leases::room ledger_leases::leasable(const ledger_location& at, limit_mask applying,
                                            std::int64_t lifetime_ns, std::int64_t now_ns) {
  PENSTOCK_ASSERT(at.in != nullptr && !at.full);
  const limit_states states = states_at(at, applying);
  const auto& limits = at.in->rules.limits;
  room found{UINT32_MAX, lifetime_ns};
  for (std::size_t i = 0; i < limits.size(); ++i) {
    if (!states[i]) continue;
    found.lifetime_ns = std::min(found.lifetime_ns, window_left_ns(limits[i], *states[i], now_ns));
    found.units = std::min(found.units, available_units(limits[i], *states[i], now_ns));
  }
  return found;
}

lease_marks ledger_leases::set_aside(const ledger_location& at, limit_mask applying,
                                     std::uint32_t units, std::int64_t now_ns) {
  PENSTOCK_ASSERT(at.in != nullptr && !at.full);
  lease_marks marks{};
  const limit_states states = states_at(at, applying);
  const auto& limits = at.in->rules.limits;
  for (std::size_t i = 0; i < limits.size(); ++i) {
    if (!states[i]) continue;
    PENSTOCK_ASSERT(units <= available_units(limits[i], *states[i], now_ns));
    *states[i] = penstock::set_aside(limits[i], *states[i], now_ns, units);
    marks[i] = lease_mark(limits[i], *states[i]);
  }
  for (std::size_t s = 0; s < scope_count; ++s)
    if (at.entries[s].states) at.in->tables[s]->mark_changed(at.entries[s]);
  return marks;
}

// Changes the states of the limits that a lease was given by.
template <class Change>
void ledger_leases::change(const lease_key& key, Change&& change) {
  limit_book* const in = books_.find_in_force(key.plan);
  if (!in) return;
  for (std::size_t s = 0; s < scope_count; ++s) {
    if ((in->of_scope[s] & key.limits) == 0) continue;
    const auto scope = static_cast<limit_scope>(s);
    const auto entry = in->tables[s]->find(counted_for(scope, key.client, key.key, key.stream));
    if (!entry.states) continue;
    for_each_bit(in->of_scope[s] & key.limits, [&](std::size_t i) {
      limit_state& state = entry.states[in->place[i]];
      state = change(i, in->rules.limits[i], state);
    });
    in->tables[s]->mark_changed(entry);
  }
}

void ledger_leases::settle(const lease_key& key, const lease_marks& marks, std::uint32_t leased,
                           std::uint32_t unspent, std::int64_t now_ns) {
  change(key, [&](std::size_t i, const limit& rule, const limit_state& state) {
    return penstock::settle(rule, state, now_ns, marks[i], leased, unspent);
  });
}

void ledger_leases::fold(const lease_key& key, std::int64_t now_ns) {
  change(key, [&](std::size_t, const limit& rule, const limit_state& state) {
    return penstock::fold(rule, state, now_ns);
  });
}

void ledger_leases::unfold(const lease_key& key, std::uint32_t units) {
  change(key, [&](std::size_t, const limit& rule, const limit_state& state) {
    return penstock::unfold(rule, state, units);
  });
}

} // namespace penstock
