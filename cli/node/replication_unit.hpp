// Other nodes' events that are held here, and this node's that are held elsewhere.
#pragma once

#include "actors/replication/adopter.hpp"
#include "actors/replication/replica_actor.hpp"
#include "actors/replication/replicator.hpp"
#include "cli/node/idempotency_keys.hpp"
#include "cli/node/storage_unit.hpp"
#include "cli/node/unit.hpp"

#include <atomic>
#include <memory>
#include <string_view>

namespace penstock {

/// Nothing on a node that is alone: its actors are null.
class replication_unit final : public unit {
 public:
  replication_unit(node_core& core, storage_unit& storage, const idempotency_keys& keys)
      : core_(core), storage_(storage), keys_(keys) {}

  std::string_view name() const override { return "replication"; }
  result<void> start() override;
  void drain(drain_step step, node_drain& by) override;
  void stop() override;
  void join() override;
  void add_figures(metrics_sources& to) override;

  /// Has this node's events held.
  const replicator_handle& replicator() const { return replicator_; }
  /// Holds those of others.
  const replica_handle& replicas() const { return replicas_; }

 private:
  result<void> start_replicas();
  void start_replicator();
  void pass_on(node_drain& by);
  replica_adopted publish_replica_of(const adopt_replica& what);

  node_core& core_;
  storage_unit& storage_;
  const idempotency_keys& keys_;
  std::shared_ptr<replica_metrics> replica_metrics_ = std::make_shared<replica_metrics>();
  std::shared_ptr<replicator_metrics> replicator_metrics_ = std::make_shared<replicator_metrics>();
  std::shared_ptr<std::atomic<bool>> adoption_stops_ = std::make_shared<std::atomic<bool>>(false);
  adopter_handle adopter_; // null: nothing is adopted by itself
  replica_handle replicas_;
  replicator_handle replicator_;
};

} // namespace penstock
