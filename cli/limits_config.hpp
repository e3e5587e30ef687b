// Reading limits: [{ name = "burst", algorithm = "gcra", amount = 20, window = "1s" }, ...].
#pragma once

#include "actors/plan.hpp"
#include "cli/readers.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace penstock {

inline constexpr std::uint64_t max_limit_amount = 4'000'000'000;
/// 4 GiB; as this does not fit 32 bits, a limit of just so many bytes admits one less.
inline constexpr std::uint64_t max_limit_bytes = std::uint64_t{4} << 30;
inline constexpr std::size_t max_paths_per_limit = 32;

/// An amount or burst as written: 100, or "10MiB" where bytes are counted.
struct quantity {
  std::uint64_t units = 0; ///< 0: not given
  bool is_size = false;    ///< written with a unit
};

/// A limit as written, before its keys are checked against each other.
struct limit_draft {
  std::string name;
  algorithm kind = algorithm::gcra;
  quantity amount;
  quantity burst;
  std::string window; ///< empty: not given
  limit_scope scope = limit_scope::account;
  limit_cost cost = limit_cost::event;
  bool shadow = false;
  std::vector<std::string> paths;
  std::vector<std::string> methods;
};

choices<algorithm> algorithm_names();
reader read_window(limit_draft& draft);
reader read_quantity(quantity& field);
reader read_paths(std::vector<std::string>& field);
reader read_methods(std::vector<std::string>& field);

/// A list of at most max_limits_per_plan limits with names of their own.
reader read_limits(std::vector<limit>& field);

/// What is wrong with the draft, and what would do; empty when it is a limit.
std::string check_limit(const limit_draft& draft);
/// The limit it describes. The draft has passed check_limit.
limit make_limit(const limit_draft& draft);

} // namespace penstock
