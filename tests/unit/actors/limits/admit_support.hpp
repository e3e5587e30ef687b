// All limits of a plan in one row of states, for tests of what is admitted.
#pragma once

#include "actors/limits/admit.hpp"

#include <span>

namespace penstock {

inline limit_states pointers_to(std::span<limit_state> states) {
  limit_states all{};
  for (std::size_t i = 0; i < states.size(); ++i)
    all[i] = &states[i];
  return all;
}

/// A request of so many events that every limit of the plan applies to.
inline verdict admit_events(const plan& rules, std::span<limit_state> states, std::int64_t now_ns,
                            std::uint32_t events) {
  return admit(rules, pointers_to(states), now_ns, {.events = events}).answer;
}

} // namespace penstock
