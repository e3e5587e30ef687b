// What the model's steps have in common.
#pragma once

#include "actors/limits/limit_messages.hpp"
#include "tests/unit/actors/limits/lease_model.hpp"

#include <utility>

namespace penstock::lease_model {

inline constexpr std::uint64_t model_client = 5;
inline constexpr std::size_t model_leases = 100;
// So many events were asked for that a holder asks for all it may have.
inline constexpr std::uint32_t hot_demand = 1000;

inline admit_item model_item(const plan& rules, std::uint32_t events) {
  return {.client = model_client, .plan = plan_id(rules.name), .events = events};
}

template <class T>
T take_at(std::vector<T>& from, std::size_t which) {
  T out = std::move(from[which]);
  from.erase(from.begin() + static_cast<std::ptrdiff_t>(which));
  return out;
}

inline bool spend_one(std::uint8_t& budget) {
  if (budget == 0) return false;
  --budget;
  return true;
}

} // namespace penstock::lease_model
