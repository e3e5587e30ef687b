// `penstock run`: a node from its configuration to its end.
#pragma once

#include "cli/config/config.hpp"

namespace penstock {

/// Runs a node until SIGTERM or SIGINT drains it. Gives the process's exit code: 0 after a drain,
/// 78 when the configuration is wrong (told on stderr), 69 or 70 when it can't go on.
int run_node(const config_sources& sources);

} // namespace penstock
