// ack = "replicated", of both sides, for /metrics.
#pragma once

#include "net/telemetry/metrics_page.hpp"
#include "net/telemetry/prometheus_page.hpp"

namespace penstock {

void add_replicas(prometheus_page& out, const metrics_sources& from);

} // namespace penstock
