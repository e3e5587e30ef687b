// The node for people: GET / and GET /v1/admin/status.
#pragma once

#include "actors/node_state.hpp"
#include "net/metrics_page.hpp"

#include <string>
#include <string_view>

namespace penstock {

/// {"node":…,"version":…,"uptime_s":…,"ready":…,"draining":…,"http":{…},"limiter":{…},
/// "journal":{…},"cluster":{…},"queues":[…],"sinks":[…],"dead_letters":…}; for "cluster" see
/// cluster_status.hpp.
std::string status_json(const metrics_sources& from, const node_state& node);

/// A page of its own, without anything from elsewhere; it asks for the status every two seconds.
extern const std::string_view status_page_html;

} // namespace penstock
