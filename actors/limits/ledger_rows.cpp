// What clients used as rows: for the disk, and for other nodes.
#include "actors/limits/limit_book.hpp"
#include "actors/limits/limit_ledger.hpp"

#include <algorithm>

namespace penstock {

bool limit_ledger::has_changed(client_table::reader by) const {
  return std::ranges::any_of(
      tables_, [by](const auto& each) { return each.first->tables[each.second]->has_changed(by); });
}

// `all`: also of limits that don't survive a restart.
void limit_ledger::add_rows(std::vector<counter_row>& rows, const book& in, std::size_t scope,
                            std::uint64_t client, const limit_state* states, std::int64_t now_ns,
                            bool all) const {
  const auto& rules = in.tables[scope]->rules();
  for (std::size_t i = 0; i < rules.size(); ++i) {
    if (!(all || survives_restart(rules[i])) || is_idle(rules[i], states[i], now_ns)) continue;
    const limit_state state =
        algorithm_of(rules[i].kind).to_row(penstock::fold(rules[i], states[i], now_ns));
    rows.push_back({client, in.id, limit_id(rules[i]), static_cast<std::uint8_t>(scope), state.at,
                    state.used, state.previous, now_ns + look(rules[i], state, now_ns).reset_ns});
  }
}

std::vector<counter_row> limit_ledger::take_changed(std::size_t max_rows, std::int64_t now_ns,
                                                    client_table::reader by) {
  std::vector<counter_row> rows;
  auto& take_at = take_at_[static_cast<std::size_t>(by)];
  const bool all = by == client_table::reader::backup;
  for (std::size_t turn = 0; turn < tables_.size() && rows.size() < max_rows; ++turn) {
    PENSTOCK_ASSERT(take_at < tables_.size());
    auto [in, scope] = tables_[take_at];
    client_table& table = *in->tables[scope];
    const auto per_client = table.rules().size();
    PENSTOCK_ASSERT(per_client != 0); // a book has tables only for scopes that it has limits of
    const auto most = (max_rows - rows.size() + per_client - 1) / per_client;
    table.take_changed(
        by, most, [&, in = in, scope = scope](std::uint64_t client, const limit_state* states) {
          add_rows(rows, *in, scope, client, states, now_ns, all);
        });
    if (table.has_changed(by)) break; // the bound was reached; the next call goes on here
    if (++take_at >= tables_.size()) take_at = 0;
  }
  return rows;
}

client_table::entry limit_ledger::restore_into(const counter_row& row, std::int64_t now_ns) {
  // A peer or the disk may say anything; algorithms calculate with times of a clock.
  if (row.at < 0 || row.at > max_now_ns) return {};
  book* const in = find_book(row.plan);
  if (!in || row.scope >= scope_count || !in->tables[row.scope]) return {};
  client_table& table = *in->tables[row.scope];
  const auto rule = std::ranges::find(table.rules(), row.limit, limit_id);
  if (rule == table.rules().end()) return {};
  const limit_state state = carry_over(*rule, *rule, {row.at, row.used, row.previous}, now_ns);
  if (is_idle(*rule, state, now_ns)) return {};
  const auto entry = size_ < max_clients_ ? table.find_or_add(row.client) : table.find(row.client);
  if (!entry.states) return {};
  size_ += entry.added;
  PENSTOCK_ASSERT(size_ <= max_clients_);
  entry.states[rule - table.rules().begin()] = state;
  return entry;
}

void limit_ledger::restore(const counter_row& row, std::int64_t now_ns) {
  (void)restore_into(row, now_ns);
}

void limit_ledger::take_in(const counter_row& row, std::int64_t now_ns) {
  const auto entry = restore_into(row, now_ns);
  if (entry.states) find_book(row.plan)->tables[row.scope]->mark_changed(entry);
}

void limit_ledger::inform_backup(bool wanted) {
  backed_up_ = wanted;
  for (const auto& [in, scope] : tables_)
    in->tables[scope]->inform_backup(wanted);
}

void limit_ledger::mark_shard(std::uint32_t shard) {
  for (const auto& [in, scope] : tables_)
    in->tables[scope]->mark_shard(shard);
}

std::vector<counter_row> limit_ledger::rows_of(std::uint32_t shard, std::int64_t now_ns) {
  std::vector<counter_row> rows;
  for (const auto& [in, scope] : tables_)
    in->tables[scope]->for_each_of(
        shard, [&, in = in, scope = scope](std::uint64_t client, const limit_state* states) {
          add_rows(rows, *in, scope, client, states, now_ns, true);
        });
  return rows;
}

} // namespace penstock
