// A search through all states of the lease model, the nearest first.
#pragma once

#include "tests/unit/actors/limits/lease_model.hpp"

#include <cstddef>
#include <string>

namespace penstock::lease_model {

struct findings {
  std::size_t states = 0; ///< different ones
  std::size_t transitions = 0;
  std::size_t depth = 0; ///< of the state that is furthest from the start
  bool complete = false; ///< all states within the budget were seen
  std::string fault{};   ///< what was broken, and the steps that lead there; empty: nothing
};

/// Ends with the first fault, or when `max_states` were seen.
findings search(const setup& what, std::size_t max_states);

} // namespace penstock::lease_model
