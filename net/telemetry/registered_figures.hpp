// Figures that actors registered by themselves, as the admin plane shows them.
#pragma once

#include "actors/base/figures.hpp"
#include "net/telemetry/prometheus_page.hpp"

#include <boost/json.hpp>

namespace penstock {

/// On /metrics. The texts are those of `of`, which outlives the page.
void add_registered(prometheus_page& out, const actor_figures& of);

/// In `penstock status`: {"FIGURE":number}, and for one with a label {"FIGURE":{"VALUE":number,…}}.
boost::json::object registered_json(const actor_figures& of);

} // namespace penstock
