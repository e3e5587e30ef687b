// Draining a node from outside: /v1/admin/drain.
#pragma once

#include "net/admin/admin_route.hpp"

#include <boost/json/object.hpp>

namespace penstock {

/// {"stage":"publishing","seconds_left":27.1,"connections":0,"leased_units":0,"shards":0,
/// "sinks":[{"sink":"bus","kind":"nats","state":"ok","events":120,"given_up":false}],
/// "queue_events":4,"left":[…]}; before a drain `seconds_left` is null, and the figures tell what
/// one would have to do. `left`: a sentence for each thing that was not finished.
boost::json::object drain_json(const drain_status::state& at, const metrics_sources& from,
                               drain_status::clock::time_point now);

} // namespace penstock
