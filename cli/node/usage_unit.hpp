// Who sent how much: the actor that writes it and the one that reports.
#pragma once

#include "actors/base/memory_budget.hpp"
#include "actors/usage/usage_actor.hpp"
#include "actors/usage/usage_metrics.hpp"
#include "cli/node/storage_unit.hpp"
#include "cli/node/unit.hpp"

#include <atomic>
#include <memory>
#include <string_view>

namespace penstock {

/// Nothing when usage.enabled is false: its actors are null.
class usage_unit final : public unit {
 public:
  usage_unit(node_core& core, storage_unit& storage) : core_(core), storage_(storage) {}

  std::string_view name() const override { return "usage"; }
  result<void> start() override;
  void drain(drain_step step, node_drain& by) override;
  void stop() override;
  void add_figures(metrics_sources& to) override;

  const usage_handle& writer() const { return writer_; }
  const usage_reader_handle& reader() const { return reader_; }
  /// Set once the node ends: long reports and rebuilds look at it.
  const std::shared_ptr<std::atomic<bool>>& stopping() const { return stopping_; }

 private:
  node_core& core_;
  storage_unit& storage_;
  std::shared_ptr<usage_metrics> metrics_ = std::make_shared<usage_metrics>();
  // It has one holder, and is here to be looked at.
  std::shared_ptr<memory_budget> budget_ =
      std::make_shared<memory_budget>(core_.settings.memory.of(memory_use::usage));
  std::shared_ptr<std::atomic<bool>> stopping_ = std::make_shared<std::atomic<bool>>(false);
  usage_handle writer_;
  usage_reader_handle reader_;
};

} // namespace penstock
