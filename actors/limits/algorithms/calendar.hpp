// Hours, days and months of UTC.
#pragma once

#include "actors/limits/algorithms/limit.hpp"

#include <cstdint>

namespace penstock {

/// Start of the calendar unit that holds `now` and of the next one, UTC, in ns since the epoch.
std::int64_t calendar_start(calendar_unit unit, std::int64_t now_ns);
std::int64_t calendar_next(calendar_unit unit, std::int64_t now_ns);

} // namespace penstock
