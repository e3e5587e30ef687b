// What lasts: the journal's files, the cursors and the counters of limits.
#pragma once

#include "actors/journal/journal_metrics.hpp"
#include "cli/node/node_core.hpp"
#include "cli/node/unit.hpp"
#include "storage/journal/journal.hpp"
#include "storage/stores/counter_store.hpp"
#include "storage/stores/cursor_store.hpp"

#include <memory>
#include <string_view>
#include <vector>

namespace penstock {

/// Opens the data directory. Others open stores of their own in it, and tell their damage here.
class storage_unit final : public unit {
 public:
  explicit storage_unit(node_core& core) : core_(core) {}

  std::string_view name() const override { return "storage"; }
  result<void> start() override;
  void add_figures(metrics_sources& to) override;

  const std::shared_ptr<journal>& events() const { return journal_; }
  const journal_options& options() const { return options_; }
  const std::shared_ptr<cursor_store>& cursors() const { return cursors_; }
  const std::shared_ptr<counter_store>& counters() const { return counters_; }
  const std::shared_ptr<journal_metrics>& metrics() const { return metrics_; }
  /// To damage, at this start or before.
  bool journal_lost_some() const { return journal_lost_some_; }
  /// As they were when the node started.
  const std::vector<cursor>& saved_cursors() const { return saved_cursors_; }
  void forget_saved_cursors() { saved_cursors_.clear(); }

  /// Logs what the opening of a store found, and counts it.
  void tell_damage(const store_report& found);

 private:
  result<void> open_cursors();

  node_core& core_;
  journal_options options_;
  std::shared_ptr<journal> journal_;
  bool journal_lost_some_ = false;
  std::shared_ptr<cursor_store> cursors_;
  std::vector<cursor> saved_cursors_;
  std::shared_ptr<counter_store> counters_;
  std::shared_ptr<journal_metrics> metrics_ = std::make_shared<journal_metrics>();
};

} // namespace penstock
