// Who sent how much: the actor that writes it and the one that reports.
#pragma once

#include "actors/base/memory_budget.hpp"
#include "actors/usage/usage_actor.hpp"
#include "actors/usage/usage_gatherer.hpp"
#include "actors/usage/usage_metrics.hpp"
#include "cli/node/storage_unit.hpp"
#include "cli/node/unit.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock {

/// How long a drain may take to hand this node's usage over to another one.
inline constexpr std::chrono::seconds usage_hand_over_time{5};

/// Nothing when usage.enabled is false: its actors are null.
class usage_unit final : public unit {
 public:
  /// `members`: of a cluster with a fixed list, its addresses.
  usage_unit(node_core& core, storage_unit& storage, std::vector<std::string> members)
      : core_(core), storage_(storage), members_(std::move(members)) {}

  std::string_view name() const override { return "usage"; }
  result<void> start() override;
  void drain(drain_step step, node_drain& by) override;
  void stop() override;
  void add_figures(metrics_sources& to) override;

  const usage_handle& writer() const { return writer_; }
  const usage_reader_handle& reader() const { return reader_; }
  /// Null on a node that is alone.
  const usage_gatherer_handle& gatherer() const { return gatherer_; }
  /// See usage_store::begun_ms(); once started.
  std::int64_t begun_ms() const { return begun_ms_; }
  /// Set once the node ends: long reports and rebuilds look at it.
  const std::shared_ptr<std::atomic<bool>>& stopping() const { return stopping_; }

 private:
  node_core& core_;
  result<void> keep_copies(usage_parts& parts, usage_reader_parts& reading);
  void hand_over(node_drain& by);

  storage_unit& storage_;
  std::vector<std::string> members_;
  std::shared_ptr<usage_metrics> metrics_ = std::make_shared<usage_metrics>();
  // It has one holder, and is here to be looked at.
  std::shared_ptr<memory_budget> budget_ =
      std::make_shared<memory_budget>(core_.settings.memory.of(memory_use::usage));
  std::shared_ptr<std::atomic<bool>> stopping_ = std::make_shared<std::atomic<bool>>(false);
  std::int64_t begun_ms_ = 0;
  usage_handle writer_;
  usage_reader_handle reader_;
  usage_gatherer_handle gatherer_;
};

} // namespace penstock
