// The actors of actors/extensions/extensions.inc: each is told what it subscribed to.
#pragma once

#include "actors/base/extension.hpp"
#include "cli/node/journal_unit.hpp"
#include "cli/node/request_lanes.hpp"
#include "cli/node/unit.hpp"

#include <memory>
#include <string_view>
#include <vector>

namespace penstock {

/// They start when the lanes are there and before they serve, so they miss no event; they drain
/// last.
class extensions_unit final : public unit {
 public:
  /// `all` outlives the node.
  extensions_unit(node_core& core, const journal_unit& journal, const request_lanes& lanes,
                  const std::vector<extension>& all)
      : core_(core), journal_(journal), lanes_(lanes), all_(all) {}

  std::string_view name() const override { return "extensions"; }
  result<void> start() override;
  void drain(drain_step step, node_drain& by) override;
  void on_stage(drain_stage stage) override;
  void stop() override;
  void add_figures(metrics_sources& to) override;

  /// Those that are to be told of other nodes.
  std::vector<members_listener_handle> wanting_members() const;

 private:
  struct running {
    extension_actor actor;
    std::shared_ptr<actor_figures> figures;
    std::shared_ptr<subscription_window> window;
  };

  void subscribe(const running& which);

  node_core& core_;
  const journal_unit& journal_;
  const request_lanes& lanes_;
  const std::vector<extension>& all_;
  std::vector<running> running_; // one for each of all_
};

} // namespace penstock
