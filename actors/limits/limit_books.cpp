#include "actors/limits/limit_books.hpp"

#include "actors/base/shards.hpp"
#include "storage/base/assert.hpp"

#include <algorithm>

namespace penstock {

namespace {

std::uint64_t same_limits_key(const limit& rule) {
  return static_cast<std::uint64_t>(rule.scope) << 32 | limit_id(rule);
}

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

limit_books::limit_books(std::size_t max_clients, std::shared_ptr<limit_labels> labels)
    : max_clients_(std::min<std::size_t>(max_clients, UINT32_MAX - 1)), labels_(std::move(labels)) {
}

// -- plans ----------------------------------------------------------------------------------------

limit_book* limit_books::find(std::uint32_t plan) {
  const auto found = book_of_.find(plan);
  return found == book_of_.end() ? nullptr : found->second;
}

limit_book* limit_books::find_in_force(std::uint32_t plan) {
  limit_book* const found = find(plan);
  return found && !found->retired ? found : nullptr;
}

void limit_books::change_plans(const plan_list& plans, std::int64_t now_ns) {
  for (auto& each : books_)
    each->retired = true;
  for (const plan& rules : *plans) {
    const std::uint32_t id = plan_id(rules.name);
    limit_book* found = find(id);
    if (!found) {
      books_.push_back(std::make_unique<limit_book>());
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

void limit_books::set_rules(limit_book& which, const plan& rules, std::int64_t now_ns) {
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

void limit_books::index_limits() {
  same_limits_.clear();
  tables_.clear();
  sweep_at_ = 0;
  for (auto& each : books_) {
    const auto& limits = each->rules.limits;
    for (std::size_t i = 0; i < limits.size(); ++i)
      same_limits_[same_limits_key(limits[i])].push_back(
          {each.get(), static_cast<std::uint8_t>(i)});
    for (std::size_t scope = 0; scope < scope_count; ++scope)
      if (each->tables[scope]) tables_.push_back({each.get(), static_cast<std::uint8_t>(scope)});
  }
}

std::span<const limit_books::limit_place> limit_books::limits_like(const limit& rule) const {
  const auto found = same_limits_.find(same_limits_key(rule));
  if (found == same_limits_.end()) return {};
  return found->second;
}

// -- clients --------------------------------------------------------------------------------------

client_table::entry limit_books::find_or_add(limit_book& in, std::size_t scope,
                                             std::uint64_t client) {
  PENSTOCK_ASSERT(scope < scope_count && in.tables[scope]);
  client_table& table = *in.tables[scope];
  if (size_ >= max_clients_) return table.find(client);
  const auto entry = table.find_or_add(client);
  size_ += entry.added;
  return entry;
}

std::size_t limit_books::sweep(std::int64_t now_ns, std::size_t max_visits) {
  std::size_t forgotten = 0;
  for (std::size_t turn = 0; turn < tables_.size() && max_visits > 0; ++turn) {
    PENSTOCK_ASSERT(sweep_at_ < tables_.size());
    const auto swept = tables_[sweep_at_].table().sweep(now_ns, max_visits);
    PENSTOCK_ASSERT(swept.visited <= max_visits);
    forgotten += swept.forgotten;
    max_visits -= swept.visited;
    if (swept.at_end && ++sweep_at_ == tables_.size()) sweep_at_ = 0;
  }
  PENSTOCK_ASSERT(forgotten <= size_);
  size_ -= forgotten;
  return forgotten;
}

bool limit_books::has_changed(client_table::reader by) const {
  return std::ranges::any_of(
      tables_, [by](const table_place& each) { return each.table().has_changed(by); });
}

void limit_books::inform_backup(bool wanted) {
  backed_up_ = wanted;
  for (const table_place& each : tables_)
    each.table().inform_backup(wanted);
}

void limit_books::mark_shard(std::uint32_t shard, client_table::reader by) {
  for (const table_place& each : tables_)
    each.table().mark_shard(shard, by);
}

std::size_t limit_books::memory_bytes() const {
  std::size_t bytes = 0;
  for (const table_place& each : tables_)
    bytes += each.table().memory_bytes();
  return bytes;
}

} // namespace penstock
