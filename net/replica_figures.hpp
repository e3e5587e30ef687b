// ack = "replicated", of both sides, for /metrics.
#pragma once

#include "net/metrics_page.hpp"
#include "net/prometheus_page.hpp"

namespace penstock {

void add_replicas(prometheus_page& out, const metrics_sources& from);

} // namespace penstock
