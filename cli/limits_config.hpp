// Reading limits: [{ name = "burst", algorithm = "gcra", amount = 20, window = "1s" }, ...].
#pragma once

#include "actors/plan.hpp"
#include "cli/readers.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace penstock {

inline constexpr std::uint64_t max_limit_amount = 4'000'000'000;

/// A limit as written, before its keys are checked against each other.
struct limit_draft {
  std::string name;
  algorithm kind = algorithm::gcra;
  std::uint32_t amount = 0; ///< 0: not given
  std::uint32_t burst = 0;  ///< 0: not given
  std::string window;       ///< empty: not given
};

choices<algorithm> algorithm_names();
reader read_window(limit_draft& draft);

/// A list of at most max_limits_per_plan limits with names of their own.
reader read_limits(std::vector<limit>& field);

/// What is wrong with the draft, and what would do; empty when it is a limit.
std::string check_limit(const limit_draft& draft);
/// The limit it describes. The draft has passed check_limit.
limit make_limit(const limit_draft& draft);

} // namespace penstock
