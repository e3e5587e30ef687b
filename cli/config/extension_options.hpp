// The rows of the option table for extensions.
#pragma once

#include "actors/base/extension.hpp"
#include "cli/config/options.hpp"

#include <map>
#include <string>
#include <vector>

namespace penstock {

/// A row a key, "extensions.NAME.KEY". Makes their values in `target`, by the extensions' names;
/// the rows' readers store there.
std::vector<option> extension_options(std::map<std::string, extension_values>& target,
                                      const std::vector<extension>& all);

/// What docs/configuration.md says of their section.
std::string extensions_help(const std::vector<extension>& all);

} // namespace penstock
