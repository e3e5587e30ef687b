// The admin plane of a node, and where all figures come together.
#pragma once

#include "actors/base/drain_status.hpp"
#include "cli/node/accounts_unit.hpp"
#include "cli/node/delivery_unit.hpp"
#include "cli/node/unit.hpp"
#include "cli/node/usage_rebuild_unit.hpp"
#include "cli/node/usage_unit.hpp"
#include "net/admin/admin_server.hpp"

#include <memory>
#include <string_view>
#include <vector>

namespace penstock {

/// What the admin plane uses of other units.
struct admin_needs {
  const usage_unit& usage;
  const delivery_unit& delivery;
  const accounts_unit& accounts;
  const usage_rebuild_unit& usage_rebuild;
  const std::vector<unit*>& all_units; ///< whose figures it shows
  metrics_sources& figures;            ///< filled by start()
  std::shared_ptr<drain_status> drain;
};

class admin_unit final : public unit {
 public:
  admin_unit(node_core& core, admin_needs needs) : core_(core), needs_(std::move(needs)) {}

  std::string_view name() const override { return "admin"; }
  result<void> start() override;
  void stop() override { server_.reset(); }
  void add_figures(metrics_sources& to) override;

 private:
  node_core& core_;
  admin_needs needs_;
  std::unique_ptr<admin_server> server_;
};

} // namespace penstock
