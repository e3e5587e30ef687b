// How events leave the node: publishers, dead letters, replays, and the embedded queue.
#pragma once

#include "actors/base/memory_budget.hpp"
#include "actors/dead_letters/dead_letters_actor.hpp"
#include "actors/dead_letters/replay_actor.hpp"
#include "actors/queue/queue_actor.hpp"
#include "actors/queue/queue_metrics.hpp"
#include "cli/node/journal_unit.hpp"
#include "cli/node/sinks_unit.hpp"
#include "cli/node/storage_unit.hpp"
#include "cli/node/unit.hpp"

#include <memory>
#include <string_view>

namespace penstock {

class delivery_unit final : public unit {
 public:
  delivery_unit(node_core& core, storage_unit& storage, sinks_unit& sinks,
                const journal_unit& journal)
      : core_(core), storage_(storage), sinks_(sinks), journal_(journal) {}

  std::string_view name() const override { return "delivery"; }
  result<void> start() override;
  void drain(drain_step step, node_drain& by) override;
  void stop() override;
  void add_figures(metrics_sources& to) override;
  /// What streams may hold.
  void reload_space(const config& settings);

  const queue_handle& queue() const { return queue_; }
  const dead_letters_handle& dead_letters() const { return dead_letters_; }
  const replay_handle& replays() const { return replays_; }
  std::shared_ptr<const queue_metrics> queue_figures() const { return queue_metrics_; }

 private:
  result<void> start_keepers();
  void start_queue();
  void start_publishers();

  node_core& core_;
  storage_unit& storage_;
  sinks_unit& sinks_;
  const journal_unit& journal_;
  std::shared_ptr<queue_metrics> queue_metrics_ = std::make_shared<queue_metrics>();
  std::shared_ptr<dead_letter_metrics> dead_letter_metrics_ =
      std::make_shared<dead_letter_metrics>();
  std::shared_ptr<replay_metrics> replay_metrics_ = std::make_shared<replay_metrics>();
  // What streams hold together.
  std::shared_ptr<memory_budget> delivery_budget_ =
      std::make_shared<memory_budget>(core_.settings.memory.delivery_bytes);
  std::shared_ptr<memory_budget> queue_budget_ =
      std::make_shared<memory_budget>(core_.settings.memory.queue_window_bytes);
  dead_letters_handle dead_letters_;
  replay_handle replays_;
  queue_handle queue_;
};

} // namespace penstock
