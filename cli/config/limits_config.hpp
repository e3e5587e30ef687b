// Reading limits: [{ name = "burst", algorithm = "gcra", amount = 20, window = "1s" }, ...].
#pragma once

#include "actors/limits/limit_text.hpp"
#include "cli/config/readers.hpp"

#include <string>
#include <vector>

namespace penstock {

reader read_window(limit_draft& draft);
reader read_quantity(quantity& field);
reader read_paths(std::vector<std::string>& field);
reader read_methods(std::vector<std::string>& field);

/// A list of at most max_limits_per_plan limits with names of their own.
reader read_limits(std::vector<limit>& field);

} // namespace penstock
