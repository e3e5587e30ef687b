// Checks of values against each other.
#pragma once

#include "cli/base/problems.hpp"
#include "cli/config/config.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace penstock {

/// What the checks know of a key: where its value came from, and whether it was wrong by itself.
struct config_origins {
  std::map<std::string, std::string> place; ///< key → "node.toml:12"; absent: the default
  std::set<std::string> wrong;
};

/// Each check that fails is told with the place of the key to change. A check is left out when
/// one of its keys was wrong by itself.
void check_together(const config& c, const config_origins& origins, problem_list& problems);

/// What is allowed on the admin plane and seldom meant, a sentence each.
std::vector<std::string> admin_warnings(const config& c);

} // namespace penstock
