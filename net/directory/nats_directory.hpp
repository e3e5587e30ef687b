// The directory on NATS JetStream key-value. docs/operators-guide.md says what is in the buckets.
#pragma once

#include "actors/cluster/cluster_settings.hpp"
#include "actors/directory/directory.hpp"
#include "net/nats/nats_login.hpp"

#include <memory>
#include <string>

namespace penstock {

/// As for a nats_login; the setting is named as in [cluster].
nats_login_fault fault_of(const nats_settings& settings);

/// `cluster`: its name, which names the buckets. `client_name`: what the server's monitoring shows.
/// Nothing is connected before open(). When the connection breaks, or a bucket is lost, it connects
/// again by itself, for as long as it takes, makes the buckets again if need be, and tells all
/// again; meanwhile calls fail at once. A call that waits for the server takes at most a second,
/// open() some seconds a server. Its destructor waits for the thread that tells. Errors: config,
/// naming the key.
result<std::unique_ptr<directory>> make_nats_directory(const nats_settings& settings,
                                                       const std::string& cluster,
                                                       const std::string& client_name);

} // namespace penstock
