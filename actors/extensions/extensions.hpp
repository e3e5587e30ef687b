// Which extensions a node has: those of extensions.inc.
#pragma once

#include "actors/base/extension.hpp"

#include <vector>

namespace penstock {

/// In the order of the list, which is that in which they start and end.
const std::vector<extension>& extensions();

} // namespace penstock
