// The threads of the request path: on each a front end, a limiter and an index of keys.
#pragma once

#include "actors/base/shards.hpp"
#include "actors/idempotency/idempotency_actor.hpp"
#include "actors/limiter/counters_actor.hpp"
#include "actors/limiter/limiter.hpp"
#include "cli/node/account_files.hpp"
#include "cli/node/cluster_seat.hpp"
#include "cli/node/idempotency_keys.hpp"
#include "cli/node/ingest_sockets.hpp"
#include "cli/node/journal_unit.hpp"
#include "cli/node/names_unit.hpp"
#include "cli/node/replication_unit.hpp"
#include "cli/node/sinks_unit.hpp"
#include "cli/node/storage_unit.hpp"
#include "cli/node/unit.hpp"
#include "cli/node/usage_unit.hpp"
#include "net/http/front_end_metrics.hpp"
#include "net/ingest/front_end.hpp"

#include <bitset>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>
#include <vector>

namespace penstock {

/// What the lanes use of other units.
struct request_lane_needs {
  storage_unit& storage;
  usage_unit& usage;
  account_files& accounts;
  ingest_sockets& sockets;
  const idempotency_keys& keys;
  const sinks_unit& sinks;
  const replication_unit& replication;
  const journal_unit& journal;
  const names_unit& names;
  const cluster_seat& seat;
};

class request_lanes final : public unit {
 public:
  request_lanes(node_core& core, const request_lane_needs& needs) : core_(core), needs_(needs) {}

  std::string_view name() const override { return "lanes"; }
  /// Starts the actors, which do nothing until serve().
  result<void> start() override;
  void drain(drain_step step, node_drain& by) override;
  void stop() override;
  void join() override;
  void add_figures(metrics_sources& to) override;
  void reload(const config& settings);

  /// Starts the threads and lets clients in: the last step of a start.
  void serve();

  std::vector<limiter_handle> limiters() const;
  std::vector<ingest_handle> front_ends() const;
  /// Of keys; empty when none are remembered.
  std::vector<idempotency_handle> indexes() const;
  /// Shards whose counters are here, or under way to others.
  std::int64_t shards_here() const;
  /// Of the last view by which no shard is to come or to go any more, in any lane; any thread.
  std::uint64_t settled_epoch() const;

 private:
  /// One thread of the request path, with the limiter and the front end that live on it.
  struct http_lane {
    event_loop* loop = nullptr;
    /// Null: the loop is that of the links between nodes, on CAF's thread for it.
    std::unique_ptr<event_loop> own_loop;
    std::shared_ptr<front_end_metrics> metrics = std::make_shared<front_end_metrics>();
    std::shared_ptr<limiter_metrics> limiter_counts = std::make_shared<limiter_metrics>();
    std::shared_ptr<limiter_cluster_metrics> cluster_counts; ///< null: the node is alone
    std::shared_ptr<idempotency_metrics> key_counts = std::make_shared<idempotency_metrics>();
    limiter_handle limiter;
    idempotency_handle idempotency; ///< null: idempotency.max_keys is 0
    ingest_handle front_end;
    std::thread thread;
  };
  using ledgers = std::vector<std::shared_ptr<limit_ledger>>;

  result<ledgers> restore_ledgers();
  result<void> restore_marks();
  void give_loop(std::size_t lane);
  void start_limiter(std::size_t lane, std::shared_ptr<limit_ledger> ledger);
  void start_front_ends(const ingest_rules_ptr& rules);
  std::optional<limiter_cluster_parts> cluster_parts(std::size_t lane);
  std::optional<key_moves_parts> key_moves_of(std::size_t lane) const;
  void answer_clients(node_drain& by);
  void add_memory(metrics_sources& to) const;

  node_core& core_;
  request_lane_needs needs_;
  std::shared_ptr<const identifier> identify_;
  std::shared_ptr<counters_metrics> counters_metrics_ = std::make_shared<counters_metrics>();
  std::shared_ptr<limit_labels> limit_labels_ = std::make_shared<limit_labels>();
  std::bitset<shard_count> saved_shards_;       // rows of theirs were restored
  std::bitset<shard_count> handed_over_shards_; // before this process began
  counters_handle counters_;
  std::vector<http_lane> lanes_;
};

} // namespace penstock
