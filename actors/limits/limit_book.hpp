// A plan, and what its clients have used.
#pragma once

#include "actors/limits/admit.hpp"
#include "actors/limits/client_table.hpp"
#include "actors/limits/plan.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <memory>

namespace penstock {

struct limit_book {
  plan rules; // at most max_limits_per_plan
  std::uint32_t id = 0;
  std::uint16_t digest = 0;
  bool retired = false; // no plan any more: only there to be taken over from
  std::array<std::unique_ptr<client_table>, scope_count> tables; // null: no limit of that scope
  std::array<limit_mask, scope_count> of_scope{};                // its limits, by scope
  std::array<std::uint8_t, max_limits_per_plan> place{}; // of each limit in its table's entries
  std::array<std::uint16_t, max_limits_per_plan> labels{};

  bool is_empty() const {
    return std::ranges::all_of(tables, [](auto& table) { return !table || table->size() == 0; });
  }
};

template <class Do>
void for_each_bit(limit_mask mask, Do&& act) {
  for (unsigned left = mask; left != 0; left &= left - 1)
    act(static_cast<std::size_t>(std::countr_zero(left)));
}

/// Where an item's use is counted; good until the next sweep or change of plans.
struct ledger_location {
  limit_book* in = nullptr; ///< null: no such plan
  bool full = false;        ///< a table has no room for the client
  std::array<client_table::entry, scope_count> entries{};
};

/// Of the plan's limits that apply.
inline limit_states states_at(const ledger_location& at, limit_mask applying) {
  limit_states states{};
  for (std::size_t s = 0; s < scope_count; ++s)
    if (at.entries[s].states)
      for_each_bit(at.in->of_scope[s] & applying,
                   [&](std::size_t i) { states[i] = at.entries[s].states + at.in->place[i]; });
  return states;
}

} // namespace penstock
