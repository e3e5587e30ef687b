// Who writes to the cluster's directory.
#pragma once

#include "cli/node/node_core.hpp"
#include "cli/node/unit.hpp"

#include <string_view>

namespace penstock {

/// Nothing without a directory: its actor is null.
class directory_unit final : public unit {
 public:
  explicit directory_unit(node_core& core) : core_(core) {}

  std::string_view name() const override { return "directory"; }
  result<void> start() override;
  void stop() override { end_actor(writer_); }

  const directory_writer_handle& writer() const { return writer_; }

 private:
  node_core& core_;
  directory_writer_handle writer_;
};

} // namespace penstock
