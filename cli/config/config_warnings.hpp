// What a configuration allows that its operator may not have meant.
#pragma once

#include "cli/config/config.hpp"

#include <string>
#include <vector>

namespace penstock {

/// One sentence each, with the key it is about and what would do; none for most configurations.
/// Pure. Told by `penstock check`, at the start and at a reload.
std::vector<std::string> warnings_of(const config& c);

} // namespace penstock
