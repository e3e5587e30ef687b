// A limit as people write it, before its keys are checked against each other.
#pragma once

#include "actors/limits/algorithms/limit.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// An amount or burst as written: 100, or "10MiB" where bytes are counted.
struct quantity {
  std::uint64_t units = 0; ///< 0: not given
  bool is_size = false;    ///< written with a unit
};

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

/// As it was written.
std::string written(const quantity& q);

/// Units of the calendar as they are written, in the order of their enumerators.
inline constexpr std::string_view calendar_unit_names[] = {"hour", "day", "month"};

} // namespace penstock
