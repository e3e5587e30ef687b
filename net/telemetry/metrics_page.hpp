// GET /metrics: everything that the node counts, as Prometheus reads it.
#pragma once

#include "actors/base/figures.hpp"
#include "actors/cluster/cluster_settings.hpp"
#include "actors/cluster/handshake_acceptor.hpp"
#include "actors/cluster/membership_actor.hpp"
#include "actors/cluster/peer_connector.hpp"
#include "actors/dead_letters/dead_letter_metrics.hpp"
#include "actors/delivery/sink_metrics.hpp"
#include "actors/idempotency/idempotency_actor.hpp"
#include "actors/journal/journal_metrics.hpp"
#include "actors/limiter/counters_actor.hpp"
#include "actors/limiter/limiter.hpp"
#include "actors/limiter/limiter_cluster.hpp"
#include "actors/queue/queue_metrics.hpp"
#include "actors/replication/replica_actor.hpp"
#include "actors/replication/replicator.hpp"
#include "actors/retention/retention_metrics.hpp"
#include "actors/streams/stream_names.hpp"
#include "actors/usage/usage_metrics.hpp"
#include "net/http/front_end_metrics.hpp"
#include "net/ingest/shown_streams.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock {

/// What a node's configuration says of its cluster.
struct cluster_identity {
  directory_kind directory = directory_kind::none;
  std::string name;
  std::string address; ///< of this node
};

/// One use of memory (memory_use in cli/config/memory_plan.hpp); the names are a fixed set.
struct memory_gauge {
  std::string_view use;
  std::uint64_t bound_bytes = 0;
  std::function<std::uint64_t()> used_bytes; ///< called on the admin thread
};

/// What the node may use of memory, and does.
struct memory_figures {
  std::uint64_t limit_bytes = 0; ///< 0: no plan was made, and nothing is told
  std::string source;            ///< "node.memory", "the cgroup", "the machine"
  std::uint64_t head_room_bytes = 0;
  std::vector<memory_gauge> uses;
  /// Bounds that follow from it, by the keys that set them, where there are such.
  std::vector<std::pair<std::string, std::uint64_t>> bounds;
};

/// Where the figures are; registered when a node is composed. All of it outlives the admin server.
/// Null pointers and empty lists leave their metrics out.
struct metrics_sources {
  std::string node_name;
  std::string version;
  std::vector<const front_end_metrics*> front_ends;
  std::vector<std::shared_ptr<const limiter_metrics>> limiters;
  std::vector<std::shared_ptr<const limiter_cluster_metrics>> limiter_clusters; ///< in a cluster
  std::vector<std::shared_ptr<const idempotency_metrics>> idempotency;
  std::shared_ptr<const journal_metrics> journal;
  std::uint64_t journal_max_bytes = 0;      ///< journal.max_size
  std::uint64_t unconfigured_max_bytes = 0; ///< journal.unconfigured_max_size
  std::shared_ptr<const queue_metrics> queue;
  std::vector<std::shared_ptr<const sink_metrics>> sinks; ///< one a publisher
  std::shared_ptr<const retention_metrics> keeper;
  std::shared_ptr<const usage_metrics> usage; ///< null: usage is not counted
  std::shared_ptr<const link_metrics> links;
  std::shared_ptr<const membership_metrics> membership; ///< with a directory
  std::shared_ptr<const membership_status> members;     ///< likewise
  cluster_identity cluster;
  std::shared_ptr<const handshake_metrics> gate;
  std::shared_ptr<const replicator_metrics> replicator; ///< in a cluster, as is the next
  std::shared_ptr<const replica_metrics> replicas;
  std::shared_ptr<const dead_letter_metrics> dead_letters;
  std::shared_ptr<const replay_metrics> replays;
  /// What the limiters' counters by limit are those of.
  std::shared_ptr<const limit_labels> limit_names;
  std::shared_ptr<const counters_metrics> counters;
  std::shared_ptr<const stream_names> names;
  stream_test is_configured; ///< streams that are always shown by themselves
  /// Log lines dropped because their queue was full.
  std::function<std::uint64_t()> dropped_log_lines;
  /// Actors by name and how many messages wait for them; called on the admin thread.
  std::vector<std::pair<std::string, std::function<std::uint64_t()>>> mailboxes;
  std::int64_t started_ms = 0; ///< wall clock, for the uptime
  memory_figures memory;
  /// What extensions registered, in the order of their list.
  std::vector<std::shared_ptr<const actor_figures>> actors;
};

/// Sums over the sources for people: the status page and /v1/admin/status.
struct node_totals {
  std::uint64_t requests = 0;
  std::uint64_t accepted = 0; ///< requests answered with 202
  std::uint64_t refused = 0;  ///< 429
  std::uint64_t shed = 0;     ///< for the node's own sake
  std::uint64_t events = 0;   ///< durable in this life of the node
  std::int64_t connections = 0;
  std::int64_t live_clients = 0;
  std::int64_t journal_bytes = 0;
  std::uint64_t journal_max_bytes = 0;
  std::int64_t durable_seq = 0;
  bool journal_scarce = false; ///< expendable streams are refused
  bool journal_full = false;
  std::int64_t unconfigured_bytes = 0; ///< held by the streams that are not configured
  std::uint64_t unconfigured_max_bytes = 0;
  refused_streams_ptr full_streams; ///< streams that hold as much as they may; null: none
  std::int64_t peers_up = 0;
  std::vector<queue_stats> queues;
};
node_totals totals_of(const metrics_sources& from);

/// The streams of the queue that are shown, see shown_streams.hpp.
std::vector<queue_stats> shown_queues(const queue_metrics& queue, const stream_test& is_configured);

/// The page in text format 0.0.4, made by prometheus-cpp's serialiser.
std::string metrics_page(const metrics_sources& from);
inline constexpr const char* metrics_content_type = "text/plain; version=0.0.4; charset=utf-8";

} // namespace penstock
