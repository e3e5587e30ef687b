// A plan and its tables, for the files of limit_ledger alone.
#pragma once

#include "actors/limits/limit_ledger.hpp"

#include <algorithm>
#include <bit>

namespace penstock {

struct limit_ledger::book {
  plan rules;
  std::uint32_t id = 0;
  std::uint16_t digest = 0;
  bool retired = false; // no plan any more: only there to be taken over from
  std::array<std::unique_ptr<client_table>, scope_count> tables;
  std::array<limit_mask, scope_count> of_scope{};        // its limits, by scope
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

} // namespace penstock
