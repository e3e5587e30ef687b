// Settings that actors need, as plain values; cli/ fills them in from the configuration.
#pragma once

#include "actors/plan.hpp"
#include "actors/sink_settings.hpp"
#include "actors/wire_version.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace penstock {

/// What a 202 promises; the last two wait for more than this node's disk.
enum class ack_level : std::uint8_t { received, journaled, replicated, published };

inline bool waits_beyond_disk(ack_level level) {
  return level > ack_level::journaled;
}

/// What a client is told whose events are durable here, and that a second node, or not every sink,
/// has in time.
enum class unpublished_policy : std::uint8_t {
  accept, ///< 202, which says that they are journaled
  refuse, ///< 503, which says so, too
};

/// What becomes of a stream at its max_size or max_age: new events are refused, or the oldest are
/// let go, counted and logged.
enum class full_stream_policy : std::uint8_t { refuse, expire };

struct stream_settings {
  ack_level ack = ack_level::journaled;
  std::chrono::milliseconds publish_timeout_ms{5'000}; ///< with ack_level::published…
  unpublished_policy on_publish_timeout = unpublished_policy::accept; ///< …as is this
  std::chrono::milliseconds replicate_timeout_ms{2'000}; ///< these two with ack_level::replicated
  unpublished_policy on_replicate_timeout = unpublished_policy::accept;
  bool expendable = false; ///< refused first when the journal is nearly full
  std::vector<std::string> sinks{"queue"};
  std::uint64_t max_body_bytes = 0; ///< 0: as http.max_body
  std::uint64_t max_size_bytes = 0; ///< of what no sink has taken yet; 0: no bound but the journal's
  std::chrono::milliseconds max_age_ms{0}; ///< of the oldest such event; 0: no bound
  full_stream_policy when_full = full_stream_policy::refuse;
  bool operator==(const stream_settings&) const = default;

  /// How long a request that waits beyond the disk does…
  std::chrono::milliseconds wait_ms(ack_level level) const {
    return level == ack_level::replicated ? replicate_timeout_ms : publish_timeout_ms;
  }
  /// …and what it is told then.
  unpublished_policy on_timeout(ack_level level) const {
    return level == ack_level::replicated ? on_replicate_timeout : on_publish_timeout;
  }
};

enum class directory_kind : std::uint8_t { none, static_peers, nats };
enum class unreachable_policy : std::uint8_t { local, refuse };

/// Where the directory is with directory_kind::nats, and who we are there. Never logged but the
/// servers' addresses.
struct nats_settings {
  std::string url = "nats://127.0.0.1:4222"; ///< several with commas
  std::uint32_t replicas = 1;                ///< of buckets that are made
  std::string username;
  std::string password;
  std::string token;
  std::string credentials_file; ///< a .creds file
  std::string ca_file;          ///< PEM; empty: the system's
  std::string cert_file;        ///< PEM, ours, where the server wants one
  std::string key_file;
};

struct cluster_settings {
  std::string name = "penstock";
  directory_kind directory = directory_kind::none;
  std::string listen = "127.0.0.1:4200";
  std::vector<std::string> peers;
  nats_settings nats;
  unreachable_policy on_owner_unreachable = unreachable_policy::local;
  std::string secret; ///< keys the client hash; the same on every node. Empty: see operator's guide
  std::string tls_cert; ///< PEM files: all three for mutual TLS between nodes, or none
  std::string tls_key;
  std::string tls_ca;
  bool allow_plaintext = false; ///< off loopback without TLS
  std::chrono::milliseconds verdict_timeout_ms{500};
  std::chrono::milliseconds reconnect_interval_ms{500};
  std::uint32_t max_wire_version = wire_version; ///< to peers this node is one that speaks no later
  /// The events held of a node that was not heard of for so long are published. 0: by hand only.
  std::chrono::milliseconds adopt_after_ms{5 * 60'000};
  std::uint64_t replica_max_bytes = 1ull << 30; ///< of each node's events that are held
};

struct limiter_settings {
  std::uint64_t max_clients = 10'000'000; ///< per node; beyond it new clients get 503
};

struct idempotency_settings {
  std::chrono::milliseconds window_ms{24 * 3'600'000};
  std::uint64_t max_keys = 1'000'000; ///< per node; the oldest are forgotten first. 0: none is kept
};

struct queue_settings {
  std::uint64_t max_in_flight = 100'000;    ///< leased messages per stream
  std::uint64_t memory_bytes = 64ull << 20; ///< recent blocks kept for publishers that keep up
  std::chrono::milliseconds default_lease_ms{30'000};
};

struct usage_settings {
  bool enabled = true;
  std::chrono::milliseconds minute_retention_ms{std::chrono::hours{48}};
  std::chrono::milliseconds hour_retention_ms{std::chrono::hours{24 * 60}};
  std::chrono::milliseconds day_retention_ms{std::chrono::hours{24 * 730}};
  std::uint64_t max_rows = 20'000'000; ///< of all periods
};

} // namespace penstock
