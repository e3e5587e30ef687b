// Units set aside for other nodes.
#include "actors/limits/limit_book.hpp"
#include "actors/limits/limit_ledger.hpp"
#include "actors/limits/limit_messages.hpp"

#include <algorithm>

namespace penstock {

const plan* limit_ledger::rules_of(std::uint32_t plan) {
  const book* const found = find_book(plan);
  return found && !found->retired ? &found->rules : nullptr;
}

std::uint16_t limit_ledger::digest_of(std::uint32_t plan) {
  const book* const found = find_book(plan);
  return found && !found->retired ? found->digest : 0;
}

lease_terms limit_ledger::terms(const location& at, limit_mask applying) const {
  return terms_of(at.in->rules, applying);
}

lease_key limit_ledger::key_of(const location& at, const admit_item& item) {
  return lease_key_of(at.in->rules, {item.client, item.key, item.plan, item.stream, item.limits});
}

limit_ledger::room limit_ledger::leasable(const location& at, limit_mask applying,
                                          std::int64_t lifetime_ns, std::int64_t now_ns) const {
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

lease_marks limit_ledger::set_aside(const location& at, limit_mask applying, std::uint32_t units,
                                    std::int64_t now_ns) {
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
void limit_ledger::change_leased(const lease_key& key, Change&& change) {
  book* const in = find_book(key.plan);
  if (!in || in->retired) return;
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

void limit_ledger::settle(const lease_key& key, const lease_marks& marks, std::uint32_t leased,
                          std::uint32_t unspent, std::int64_t now_ns) {
  change_leased(key, [&](std::size_t i, const limit& rule, const limit_state& state) {
    return penstock::settle(rule, state, now_ns, marks[i], leased, unspent);
  });
}

void limit_ledger::fold(const lease_key& key, std::int64_t now_ns) {
  change_leased(key, [&](std::size_t, const limit& rule, const limit_state& state) {
    return penstock::fold(rule, state, now_ns);
  });
}

void limit_ledger::unfold(const lease_key& key, std::uint32_t units) {
  change_leased(key, [&](std::size_t, const limit& rule, const limit_state& state) {
    return penstock::unfold(rule, state, units);
  });
}

} // namespace penstock
