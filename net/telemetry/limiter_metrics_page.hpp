// How limiters of a cluster deal with each other, for /metrics.
#pragma once

#include "net/telemetry/metrics_page.hpp"
#include "net/telemetry/prometheus_page.hpp"

namespace penstock {

void add_limiter_clusters(prometheus_page& out, const metrics_sources& from);

} // namespace penstock
