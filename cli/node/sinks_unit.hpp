// The sinks that are not embedded; delivery_unit.hpp gives each a publisher.
#pragma once

#include "cli/node/node_core.hpp"
#include "cli/node/outgoing.hpp"
#include "cli/node/unit.hpp"

#include <map>
#include <string>
#include <string_view>

namespace penstock {

/// Makes them without touching the network. They end after the publishers that use them.
class sinks_unit final : public unit {
 public:
  explicit sinks_unit(node_core& core) : core_(core) {}

  std::string_view name() const override { return "sinks"; }
  result<void> start() override;
  void stop() override;
  void add_figures(metrics_sources& to) override;

  /// By name.
  const std::map<std::string, outgoing_sink>& all() const { return sinks_; }
  std::map<std::string, outgoing_sink>& all() { return sinks_; }

 private:
  node_core& core_;
  std::map<std::string, outgoing_sink> sinks_;
};

} // namespace penstock
