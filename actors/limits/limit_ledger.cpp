#include "actors/limits/limit_ledger.hpp"

#include "actors/base/shards.hpp"
#include "actors/limits/limit_book.hpp"

#include <algorithm>

namespace penstock {

// -- plans ----------------------------------------------------------------------------------------

struct limit_ledger::place_of {
  book* in = nullptr;
  std::uint8_t index = 0; // in the book's plan
};

namespace {

std::uint64_t same_limits_key(const limit& rule) {
  return static_cast<std::uint64_t>(rule.scope) << 32 | limit_id(rule);
}

constexpr std::size_t states_a_line = 64 / sizeof(limit_state);

} // namespace

std::uint64_t counted_for(limit_scope scope, std::uint64_t client, std::uint64_t key,
                          std::uint32_t stream) {
  if (scope == limit_scope::account) return client;
  // Hashes already, so mixing them is enough. The top bits, which choose the shard, are the
  // client's.
  std::uint64_t mixed = scope == limit_scope::key ? (key != 0 ? key : client)
                                                  : client ^ (stream * 0x9e3779b97f4a7c15);
  mixed = (mixed ^ (mixed >> 32)) * 0xd6e8feb86659fd93;
  mixed ^= mixed >> 32;
  constexpr std::uint64_t shard_bits = std::uint64_t{0xff} << 56;
  static_assert(shard_count == 256);
  return (client & shard_bits) | (mixed & ~shard_bits);
}

limit_ledger::limit_ledger(plan_list plans, std::size_t max_clients,
                           std::shared_ptr<limit_labels> labels)
    : max_clients_(std::min<std::size_t>(max_clients, UINT32_MAX - 1)), labels_(std::move(labels)) {
  change_plans(plans, 0);
}

limit_ledger::~limit_ledger() = default;

limit_ledger::book* limit_ledger::find_book(std::uint32_t plan) {
  const auto found = book_of_.find(plan);
  return found == book_of_.end() ? nullptr : found->second;
}

void limit_ledger::change_plans(const plan_list& plans, std::int64_t now_ns) {
  for (auto& each : books_)
    each->retired = true;
  for (const plan& rules : *plans) {
    const std::uint32_t id = plan_id(rules.name);
    book* found = find_book(id);
    if (!found) {
      books_.push_back(std::make_unique<book>());
      found = books_.back().get();
      found->id = id;
      book_of_.emplace(id, found);
    }
    if (found->rules != rules) set_rules(*found, rules, now_ns);
    found->retired = false;
  }
  std::erase_if(books_, [this](auto& each) {
    const bool gone = each->retired && each->is_empty();
    if (gone) book_of_.erase(each->id);
    return gone;
  });
  index_limits();
}

void limit_ledger::set_rules(book& which, const plan& rules, std::int64_t now_ns) {
  which.rules = rules;
  auto& limits = which.rules.limits;
  if (limits.size() > max_limits_per_plan) limits.resize(max_limits_per_plan);
  which.digest = plan_digest(which.rules);
  which.of_scope = {};
  std::array<std::vector<limit>, scope_count> by_scope;
  for (std::size_t i = 0; i < limits.size(); ++i) {
    const auto scope = static_cast<std::size_t>(limits[i].scope);
    which.place[i] = static_cast<std::uint8_t>(by_scope[scope].size());
    which.of_scope[scope] |= static_cast<limit_mask>(1u << i);
    which.labels[i] = static_cast<std::uint16_t>(labels_->slot_of(rules.name, limits[i].name));
    by_scope[scope].push_back(limits[i]);
  }
  for (std::size_t scope = 0; scope < scope_count; ++scope) {
    auto& table = which.tables[scope];
    if (by_scope[scope].empty()) {
      if (table) {
        PENSTOCK_ASSERT(table->size() <= size_);
        size_ -= table->size();
      }
      table.reset();
    } else if (table) {
      table->change_rules(std::move(by_scope[scope]), now_ns);
    } else {
      table = std::make_unique<client_table>(std::move(by_scope[scope]));
      table->inform_backup(backed_up_);
    }
  }
}

void limit_ledger::index_limits() {
  same_limits_.clear();
  tables_.clear();
  sweep_at_ = 0;
  take_at_ = {};
  for (auto& each : books_) {
    const auto& limits = each->rules.limits;
    for (std::size_t i = 0; i < limits.size(); ++i)
      same_limits_[same_limits_key(limits[i])].push_back(
          {each.get(), static_cast<std::uint8_t>(i)});
    for (std::size_t scope = 0; scope < scope_count; ++scope)
      if (each->tables[scope]) tables_.emplace_back(each.get(), static_cast<std::uint8_t>(scope));
  }
}

// -- decisions ------------------------------------------------------------------------------------

limit_ledger::location limit_ledger::locate(const admit_item& item, std::int64_t now_ns) {
  location found;
  found.in = find_book(item.plan);
  if (found.in && found.in->retired) found.in = nullptr;
  if (!found.in) return found;
  for (std::size_t s = 0; s < scope_count; ++s) {
    if ((found.in->of_scope[s] & item.limits) == 0) continue;
    const auto scope = static_cast<limit_scope>(s);
    const std::uint64_t client = counted_for(scope, item.client, item.key, item.stream);
    client_table& table = *found.in->tables[s];
    auto& entry = found.entries[s];
    entry = size_ < max_clients_ ? table.find_or_add(client) : table.find(client);
    if (!entry.states) {
      found.full = true;
      return found;
    }
    if (entry.added) {
      ++size_;
      take_over(*found.in, scope, client, entry.states, now_ns);
    }
    __builtin_prefetch(entry.states, 1);
    if (table.rules().size() > states_a_line) __builtin_prefetch(entry.states + states_a_line, 1);
  }
  return found;
}

limit_states limit_ledger::states_at(const location& at, limit_mask applying) const {
  limit_states states{};
  for (std::size_t s = 0; s < scope_count; ++s)
    if (at.entries[s].states)
      for_each_bit(at.in->of_scope[s] & applying,
                   [&](std::size_t i) { states[i] = at.entries[s].states + at.in->place[i]; });
  return states;
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
  const book& in = *at.in;
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
void limit_ledger::take_over(const book& into, limit_scope scope, std::uint64_t client,
                             limit_state* states, std::int64_t now_ns) {
  for_each_bit(into.of_scope[static_cast<std::size_t>(scope)], [&](std::size_t i) {
    const limit& rule = into.rules.limits[i];
    limit_state& mine = states[into.place[i]];
    const auto same = same_limits_.find(same_limits_key(rule));
    if (same == same_limits_.end()) return;
    for (const place_of& other : same->second) {
      if (other.in == &into) continue;
      const limit& before = other.in->rules.limits[other.index];
      client_table& table = *other.in->tables[static_cast<std::size_t>(scope)];
      if (table.size() == 0 || !counts_the_same(before, rule)) continue;
      const auto found = table.find(client);
      if (!found.states) continue;
      const limit_state theirs =
          carry_over(before, rule, found.states[other.in->place[other.index]], now_ns);
      if (available_units(rule, theirs, now_ns) < available_units(rule, mine, now_ns))
        mine = theirs;
    }
  });
}

limits_reply limit_ledger::look_up(const limits_query& query, std::int64_t now_ns) {
  limits_reply reply;
  reply.token = query.token;
  book* const in = find_book(query.plan);
  reply.plan_known = in && !in->retired;
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

// -- upkeep ---------------------------------------------------------------------------------------

std::size_t limit_ledger::sweep(std::int64_t now_ns, std::size_t max_visits) {
  std::size_t forgotten = 0;
  for (std::size_t turn = 0; turn < tables_.size() && max_visits > 0; ++turn) {
    PENSTOCK_ASSERT(sweep_at_ < tables_.size());
    auto [in, scope] = tables_[sweep_at_];
    const auto swept = in->tables[scope]->sweep(now_ns, max_visits);
    PENSTOCK_ASSERT(swept.visited <= max_visits);
    forgotten += swept.forgotten;
    max_visits -= swept.visited;
    if (swept.at_end && ++sweep_at_ == tables_.size()) sweep_at_ = 0;
  }
  PENSTOCK_ASSERT(forgotten <= size_);
  size_ -= forgotten;
  return forgotten;
}

std::size_t limit_ledger::memory_bytes() const {
  std::size_t bytes = sizeof *this;
  for (auto& [in, scope] : tables_)
    bytes += in->tables[scope]->memory_bytes();
  return bytes;
}

} // namespace penstock
