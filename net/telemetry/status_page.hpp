// The node for people: GET / and GET /v1/admin/status.
#pragma once

#include "actors/base/node_state.hpp"
#include "net/telemetry/metrics_page.hpp"

#include <string>
#include <string_view>

namespace penstock {

/// {"node":…,"version":…,"uptime_s":…,"ready":…,"draining":…,"http":{…},"limiter":{…},
/// "journal":{…},"cluster":{…},"queues":[…],"sinks":[…],"dead_letters":…}; for "cluster" see
/// cluster_status.hpp. With extensions also "actors":{"NAME":{"FIGURE":number, or for one with a
/// label
/// {"VALUE":number,…}}}.
std::string status_json(const metrics_sources& from, const node_state& node);

/// A page of its own, without anything from elsewhere; it asks for the status every two seconds.
/// `can_leave`: with a button that ends the browser's session.
std::string status_page(bool can_leave);
/// A page that asks for the token; `complaint` says why the last one did not do.
std::string login_page(std::string_view complaint);

/// The Content-Security-Policy for both: nothing runs that is not ours, nobody may frame them.
const std::string& page_policy();

} // namespace penstock
