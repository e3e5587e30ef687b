// The actors that write the journal and retire its segments.
#pragma once

#include "actors/base/memory_budget.hpp"
#include "actors/journal/journal_actor.hpp"
#include "actors/retention/retention_actor.hpp"
#include "actors/retention/retention_metrics.hpp"
#include "cli/node/idempotency_keys.hpp"
#include "cli/node/replication_unit.hpp"
#include "cli/node/storage_unit.hpp"
#include "cli/node/unit.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace penstock {

class journal_unit final : public unit {
 public:
  journal_unit(node_core& core, storage_unit& storage, const idempotency_keys& keys,
               const replication_unit& replication)
      : core_(core), storage_(storage), keys_(keys), replication_(replication) {}

  std::string_view name() const override { return "journal"; }
  result<void> start() override;
  void drain(drain_step step, node_drain& by) override;
  void stop() override;
  void add_figures(metrics_sources& to) override;
  /// What streams may hold, and which are replicated.
  void reload_space(const config& settings);
  void reload_replication(const config& settings);

  const journal_handle& writer() const { return writer_; }
  const retention_handle& keeper() const { return keeper_; }

 private:
  void start_writer();
  void start_keeper();

  node_core& core_;
  storage_unit& storage_;
  const idempotency_keys& keys_;
  const replication_unit& replication_;
  std::shared_ptr<retention_metrics> retention_metrics_ = std::make_shared<retention_metrics>();
  // It has one holder, and is here to be looked at.
  std::shared_ptr<memory_budget> recent_budget_ =
      std::make_shared<memory_budget>(core_.settings.queue.memory_bytes);
  std::string replicated_; // which streams the journal was told to replicate
  journal_handle writer_;
  retention_handle keeper_;
};

} // namespace penstock
