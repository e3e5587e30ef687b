// What a reload takes over of a configuration, and what waits for the next start.
#pragma once

#include "cli/config/config.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// Whether a node that runs takes over another value of this key: "log.level".
bool is_reloaded(std::string_view key);

/// The keys whose values differ from those that the node started with, and that it takes over only
/// at its next start. In the order of the alphabet.
std::vector<std::string> keys_left(const config& started, const config& loaded);

} // namespace penstock
