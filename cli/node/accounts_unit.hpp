// Who changes keys and plans, and tells front ends, limiters and other nodes.
#pragma once

#include "actors/accounts/accounts_actor.hpp"
#include "cli/node/account_files.hpp"
#include "cli/node/directory_unit.hpp"
#include "cli/node/request_lanes.hpp"
#include "cli/node/unit.hpp"

#include <string>
#include <string_view>

namespace penstock {

class accounts_unit final : public unit {
 public:
  accounts_unit(node_core& core, const account_files& files, const request_lanes& lanes,
                const directory_unit& directory)
      : core_(core), files_(files), lanes_(lanes), directory_(directory) {}

  std::string_view name() const override { return "accounts"; }
  result<void> start() override;
  void stop() override { end_actor(actor_); }
  void reload(const config& settings);

  const accounts_handle& actor() const { return actor_; }
  /// What clients and keys are hashed with.
  const std::string& secret() const { return files_.secret(); }

 private:
  node_core& core_;
  const account_files& files_;
  const request_lanes& lanes_;
  const directory_unit& directory_;
  accounts_handle actor_;
};

} // namespace penstock
