// Sinks as the metrics page and the status show them.
#pragma once

#include "actors/delivery/sink_metrics.hpp"
#include "net/ingest/shown_streams.hpp"
#include "net/telemetry/prometheus_page.hpp"

#include <boost/json/array.hpp>

#include <cstdint>
#include <memory>
#include <vector>

namespace penstock {

using sink_sources = std::vector<std::shared_ptr<const sink_metrics>>;

/// Of each sink the streams that shown_streams.hpp says.
void add_sinks(prometheus_page& out, const sink_sources& sinks, const stream_test& is_configured);

/// [{"sink":…,"kind":…,"state":"ok","last_error":…,"last_error_age_s":…,"delivered":…,"refused":…,
/// "failures":…,"in_flight_batches":…,"streams":[{"stream":…,"state":"ok","error":…,
/// "lag_events":…,"lag_bytes":…,"lag_s":…}]}]; last_error and its age are null while there was
/// none, and so is a stream's error unless it is held.
boost::json::array sinks_json(const sink_sources& sinks, std::int64_t now_ms,
                              const stream_test& is_configured);

} // namespace penstock
