#include "actors/limits/ledger_rows.hpp"

#include "actors/limits/limits.hpp"
#include "storage/base/assert.hpp"

#include <algorithm>

namespace penstock {

namespace {

// Appends the client's rows. `all`: also those of limits that don't survive a restart.
void add_rows(std::vector<counter_row>& rows, const limit_books::table_place& from,
              std::uint64_t client, const limit_state* states, std::int64_t now_ns, bool all) {
  const auto& rules = from.table().rules();
  for (std::size_t i = 0; i < rules.size(); ++i) {
    if (!(all || survives_restart(rules[i])) || is_idle(rules[i], states[i], now_ns)) continue;
    const limit_state state = algorithm_of(rules[i].kind).to_row(fold(rules[i], states[i], now_ns));
    rows.push_back({client, from.in->id, limit_id(rules[i]), from.scope, state.at, state.used,
                    state.previous, now_ns + look(rules[i], state, now_ns).reset_ns});
  }
}

} // namespace

std::vector<counter_row> ledger_rows::take_changed(std::size_t max_rows, std::int64_t now_ns,
                                                   client_table::reader by) {
  std::vector<counter_row> rows;
  const auto tables = books_.tables();
  auto& take_at = take_at_[static_cast<std::size_t>(by)];
  const bool all = by == client_table::reader::backup;
  for (std::size_t turn = 0; turn < tables.size() && rows.size() < max_rows; ++turn) {
    if (take_at >= tables.size()) take_at = 0; // there may be fewer than the last time
    const auto& from = tables[take_at];
    const std::size_t per_client = from.table().rules().size();
    PENSTOCK_ASSERT(per_client != 0); // a book has tables only for scopes that it has limits of
    const auto most = (max_rows - rows.size() + per_client - 1) / per_client;
    from.table().take_changed(by, most, [&](std::uint64_t client, const limit_state* states) {
      add_rows(rows, from, client, states, now_ns, all);
    });
    if (from.table().has_changed(by)) break; // the bound was reached; the next call goes on here
    ++take_at;
  }
  return rows;
}

std::vector<counter_row> ledger_rows::of_shard(std::uint32_t shard, std::int64_t now_ns) {
  PENSTOCK_ASSERT(shard < shard_count);
  std::vector<counter_row> rows;
  for (const auto& from : books_.tables())
    from.table().for_each_of(shard, [&](std::uint64_t client, const limit_state* states) {
      add_rows(rows, from, client, states, now_ns, true);
    });
  return rows;
}

ledger_rows::restored ledger_rows::restore_into(const counter_row& row, std::int64_t now_ns,
                                                bool merges) {
  // A peer or the disk may say anything; algorithms calculate with times of a clock.
  if (row.at < 0 || row.at > max_now_ns) return {};
  limit_book* const in = books_.find(row.plan);
  if (!in || row.scope >= scope_count || !in->tables[row.scope]) return {};
  client_table& table = *in->tables[row.scope];
  const auto rule = std::ranges::find(table.rules(), row.limit, limit_id);
  if (rule == table.rules().end()) return {};
  const limit_state state = carry_over(*rule, *rule, {row.at, row.used, row.previous}, now_ns);
  if (is_idle(*rule, state, now_ns)) return {};
  const auto entry = books_.find_or_add(*in, row.scope, row.client);
  if (entry.states) {
    limit_state& here = entry.states[rule - table.rules().begin()];
    if (!merges || available_units(*rule, state, now_ns) < available_units(*rule, here, now_ns))
      here = state;
  }
  return {&table, entry};
}

void ledger_rows::take_in(const counter_row& row, std::int64_t now_ns, bool merges) {
  const auto [table, entry] = restore_into(row, now_ns, merges);
  if (entry.states) table->mark_changed(entry);
}

} // namespace penstock
