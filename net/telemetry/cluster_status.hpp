// The cluster as a node sees it, for GET /v1/admin/status.
#pragma once

#include "net/telemetry/metrics_page.hpp"

#include <boost/json/object.hpp>

namespace penstock {

/// {"directory":"nats","name":…,"address":…,"wire_version":4,"oldest_wire_version":4,"peers_up":2,
/// "epoch":7,"directory_up":true,"shards":{"owned":…,"arriving":…,"leaving":…},
/// "leased_units":…,"held_requests":…,"unsent_units":…,"members":[{"address":…,"self":false,
/// "node":…,"state":"up","linked":true,"shards":…,…}]}. Of a node on its own only the directory,
/// name, address and peers_up; `epoch` and `directory_up` only with a directory, and only then
/// members have "version", "wire_version", "incarnation", "uptime_s", "heard_s_ago",
/// "requests_per_s", "journal_bytes" and "lag_events". States: up, leaving, silent, and in a fixed
/// list down.
boost::json::object cluster_json(const metrics_sources& from);

} // namespace penstock
