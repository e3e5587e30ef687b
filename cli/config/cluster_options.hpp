// The rows of the option table for clusters.
#pragma once

#include "actors/cluster/cluster_settings.hpp"
#include "cli/config/options.hpp"

#include <vector>

namespace penstock {

std::vector<option> cluster_options(cluster_settings& target);

} // namespace penstock
