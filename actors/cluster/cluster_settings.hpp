// What the configuration says of the cluster and of its directory.
#pragma once

#include "actors/base/wire_version.hpp"
#include "actors/cluster/nats_login.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace penstock {

enum class directory_kind : std::uint8_t { none, static_peers, nats };
enum class unreachable_policy : std::uint8_t { local, refuse };

/// Where the directory is with directory_kind::nats, and who we are there. Never logged but the
/// servers' addresses.
struct nats_settings {
  std::string url = "nats://127.0.0.1:4222"; ///< several with commas
  std::uint32_t replicas = 1;                ///< of buckets that are made
  nats_login login;
};

struct cluster_settings {
  std::string name = "penstock";
  directory_kind directory = directory_kind::none;
  std::string listen = "127.0.0.1:4200";
  std::vector<std::string> peers;
  nats_settings nats;
  unreachable_policy on_owner_unreachable = unreachable_policy::local;
  std::string secret; ///< keys the client hash; the same on every node. Empty: see operator's guide
  /// Made of the secret, and says nothing of it: nodes that have another don't fit. Set at the
  /// start.
  std::string secret_check{};
  std::string tls_cert; ///< PEM files: all three for mutual TLS between nodes, or none
  std::string tls_key;
  std::string tls_ca;
  bool ready_without = false;   ///< ready also while it is not in the cluster, or without shards
  bool allow_plaintext = false; ///< off loopback without TLS
  std::chrono::milliseconds verdict_timeout_ms{500};
  std::chrono::milliseconds reconnect_interval_ms{500};
  std::uint32_t max_wire_version = wire_version; ///< to peers this node is one that speaks no later
  /// The events held of a node that was not heard of for so long are published. 0: by hand only.
  std::chrono::milliseconds adopt_after_ms{5 * 60'000};
  std::uint64_t replica_max_bytes = 1ull << 30; ///< of each node's events that are held
};

} // namespace penstock
