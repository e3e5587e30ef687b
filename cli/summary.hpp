// What a configuration will do, in few words.
#pragma once

#include "cli/config.hpp"

#include <string>

namespace penstock {

/// Lines for people: what listens where, plans, streams, journal.
std::string summary_text(const config& c);
/// The same as one JSON object: {"ok":true,...}.
std::string summary_json(const config& c);

} // namespace penstock
