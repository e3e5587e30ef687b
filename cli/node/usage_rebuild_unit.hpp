// Who counts usage again from the journal when asked to.
#pragma once

#include "actors/usage/usage_rebuilder.hpp"
#include "cli/node/account_files.hpp"
#include "cli/node/accounts_unit.hpp"
#include "cli/node/storage_unit.hpp"
#include "cli/node/unit.hpp"
#include "cli/node/usage_unit.hpp"

#include <memory>
#include <string_view>

namespace penstock {

/// With what the journal has and the accounts that are known. Nothing when usage.enabled is false.
class usage_rebuild_unit final : public unit {
 public:
  usage_rebuild_unit(node_core& core, const storage_unit& storage, const usage_unit& usage,
                     const account_files& files, const accounts_unit& accounts)
      : core_(core), storage_(storage), usage_(usage), files_(files), accounts_(accounts) {}

  std::string_view name() const override { return "usage rebuilder"; }
  result<void> start() override;
  void stop() override { end_actor(actor_); }

  const usage_rebuilder_handle& actor() const { return actor_; }
  const std::shared_ptr<usage_rebuild_status>& board() const { return board_; }

 private:
  node_core& core_;
  const storage_unit& storage_;
  const usage_unit& usage_;
  const account_files& files_;
  const accounts_unit& accounts_;
  std::shared_ptr<usage_rebuild_status> board_ = std::make_shared<usage_rebuild_status>();
  usage_rebuilder_handle actor_;
};

} // namespace penstock
