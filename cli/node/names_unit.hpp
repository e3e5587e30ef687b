// The names of streams that nobody configured.
#pragma once

#include "actors/streams/names_keeper.hpp"
#include "cli/node/delivery_unit.hpp"
#include "cli/node/sinks_unit.hpp"
#include "cli/node/storage_unit.hpp"
#include "cli/node/unit.hpp"

#include <memory>
#include <string_view>

namespace penstock {

class names_unit final : public unit {
 public:
  names_unit(node_core& core, const storage_unit& storage, const sinks_unit& sinks,
             const delivery_unit& delivery)
      : core_(core), storage_(storage), sinks_(sinks), delivery_(delivery) {}

  std::string_view name() const override { return "stream names"; }
  result<void> start() override;
  void stop() override { end_actor(keeper_); }
  void add_figures(metrics_sources& to) override;

  const std::shared_ptr<stream_names>& table() const { return names_; }

 private:
  void adopt_names();

  node_core& core_;
  const storage_unit& storage_;
  const sinks_unit& sinks_;
  const delivery_unit& delivery_;
  std::shared_ptr<stream_names> names_ = std::make_shared<stream_names>();
  names_keeper_handle keeper_;
};

} // namespace penstock
