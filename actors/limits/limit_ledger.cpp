#include "actors/limits/limit_ledger.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>

namespace penstock {

namespace {

constexpr std::size_t states_per_line = 64 / sizeof(limit_state); // of the processor's cache

} // namespace

limit_ledger::limit_ledger(plan_list plans, std::size_t max_clients,
                           std::shared_ptr<limit_labels> labels)
    : books_(max_clients, std::move(labels)), rows_(books_), leases_(books_) {
  change_plans(plans, 0);
}

const plan* limit_ledger::rules_of(std::uint32_t plan) {
  const limit_book* const found = books_.find_in_force(plan);
  return found ? &found->rules : nullptr;
}

std::uint16_t limit_ledger::digest_of(std::uint32_t plan) {
  const limit_book* const found = books_.find_in_force(plan);
  return found ? found->digest : 0;
}

// -- decisions ------------------------------------------------------------------------------------

limit_ledger::location limit_ledger::locate(const admit_item& item, std::int64_t now_ns) {
  location found;
  found.in = books_.find_in_force(item.plan);
  if (!found.in) return found;
  for (std::size_t s = 0; s < scope_count; ++s) {
    if ((found.in->of_scope[s] & item.limits) == 0) continue;
    const auto scope = static_cast<limit_scope>(s);
    const std::uint64_t client = counted_for(scope, item.client, item.key, item.stream);
    auto& entry = found.entries[s];
    entry = books_.find_or_add(*found.in, s, client);
    if (!entry.states) {
      found.full = true;
      return found;
    }
    if (entry.added) take_over(*found.in, scope, client, entry.states, now_ns);
    __builtin_prefetch(entry.states, 1);
    if (found.in->tables[s]->rules().size() > states_per_line)
      __builtin_prefetch(entry.states + states_per_line, 1);
  }
  return found;
}

limit_ledger::decision limit_ledger::decide(const location& at, const admit_item& item,
                                            std::span<const std::uint32_t> sizes,
                                            std::int64_t now_ns) {
  decision result;
  if (!at.in || at.full) {
    const auto why = at.in ? refusal::table_full : refusal::unknown_plan;
    result.answer.reason = static_cast<std::uint8_t>(why);
    return result;
  }
  const limit_book& in = *at.in;
  PENSTOCK_ASSERT(in.rules.limits.size() <= max_limits_per_plan);
  const limit_states states = states_at(at, item.limits);
  const admission decided = admit(in.rules, states, now_ns, {item.events, item.bytes, sizes});
  result.answer = decided.answer;
  result.answer.plan_digest = in.digest;
  result.shadowed = decided.shadowed;
  result.retry_ns = decided.retry_ns;
  result.labels = &in.labels;
  if (decided.answer.granted != 0)
    for (std::size_t s = 0; s < scope_count; ++s)
      if (at.entries[s].states) in.tables[s]->mark_changed(at.entries[s]);
  return result;
}

// Of several other plans the one counts that leaves least.
void limit_ledger::take_over(const limit_book& into, limit_scope scope, std::uint64_t client,
                             limit_state* states, std::int64_t now_ns) {
  for_each_bit(into.of_scope[static_cast<std::size_t>(scope)], [&](std::size_t i) {
    const limit& rule = into.rules.limits[i];
    limit_state& mine = states[into.place[i]];
    for (const limit_books::limit_place& other : books_.limits_like(rule)) {
      if (other.in == &into || !counts_the_same(other.rule(), rule)) continue;
      client_table& table = *other.in->tables[static_cast<std::size_t>(scope)];
      if (table.size() == 0) continue;
      const auto found = table.find(client);
      if (!found.states) continue;
      const limit_state theirs =
          carry_over(other.rule(), rule, found.states[other.in->place[other.index]], now_ns);
      if (available_units(rule, theirs, now_ns) < available_units(rule, mine, now_ns))
        mine = theirs;
    }
  });
}

limits_reply limit_ledger::look_up(const limits_query& query, std::int64_t now_ns) {
  limits_reply reply;
  reply.token = query.token;
  const limit_book* const in = books_.find_in_force(query.plan);
  reply.plan_known = in != nullptr;
  if (!reply.plan_known) return reply;
  std::array<std::array<limit_state, max_limits_per_plan>, scope_count> fresh{};
  std::array<const limit_state*, scope_count> states{};
  for (std::size_t s = 0; s < scope_count; ++s) {
    if (!in->tables[s]) continue;
    const auto scope = static_cast<limit_scope>(s);
    const std::uint64_t client = counted_for(scope, query.client, query.key, query.stream);
    const auto entry = in->tables[s]->find(client);
    states[s] = entry.states ? entry.states : fresh[s].data();
    if (!entry.states) take_over(*in, scope, client, fresh[s].data(), now_ns);
  }
  const auto& limits = in->rules.limits;
  for (std::size_t i = 0; i < limits.size(); ++i) {
    const limit& rule = limits[i];
    const limit_state& state = states[static_cast<std::size_t>(rule.scope)][in->place[i]];
    const limit_view view = look(rule, state, now_ns);
    const std::uint32_t whole = available_units(rule, {}, now_ns);
    const std::int64_t reset_at = now_ns + std::min(view.reset_ns, max_now_ns);
    reply.limits.push_back({rule.name, whole - std::min(whole, view.available), view.available,
                            reset_at / 1'000'000 + (reset_at % 1'000'000 != 0)});
  }
  return reply;
}

} // namespace penstock
