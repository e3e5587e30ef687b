// The journal and its keeper as the metrics page shows them.
#pragma once

#include "actors/journal/journal_metrics.hpp"
#include "actors/retention/retention_metrics.hpp"
#include "net/telemetry/prometheus_page.hpp"

#include <cstdint>

namespace penstock {

/// `max_bytes`: journal.max_size.
void add_journal(prometheus_page& out, const journal_metrics& journal, std::uint64_t max_bytes);
void add_retention(prometheus_page& out, const retention_metrics& keeper);

} // namespace penstock
