// What a configuration will do, in few words.
#pragma once

#include "cli/config/config.hpp"

#include <string>
#include <vector>

namespace penstock {

/// Lines for people: what listens where, plans, streams, journal.
std::string summary_text(const config& c);
/// The same as one JSON object: {"ok":true,...}. `memory_source`: where the size of the memory is
/// from, in words. `more_warnings`: beside those that the configuration alone gives.
std::string summary_json(const config& c, const std::string& memory_source = {},
                         const std::vector<std::string>& more_warnings = {});

/// "burst 20 per 1s, burst 40 (gcra); …".
std::string describe_limits(const std::vector<limit>& limits);

} // namespace penstock
