// The links to other nodes, and who is in the cluster.
#pragma once

#include "actors/cluster/link_messages.hpp"
#include "actors/cluster/membership_actor.hpp"
#include "actors/cluster/peer_connector.hpp"
#include "cli/node/accounts_unit.hpp"
#include "cli/node/cluster_seat.hpp"
#include "cli/node/directory_unit.hpp"
#include "cli/node/extensions_unit.hpp"
#include "cli/node/replication_unit.hpp"
#include "cli/node/request_lanes.hpp"
#include "cli/node/unit.hpp"
#include "cli/node/usage_unit.hpp"
#include "net/links/cluster_tls.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// What the cluster uses of other units.
struct cluster_needs {
  const cluster_seat& seat;
  const request_lanes& lanes;
  const directory_unit& directory;
  const accounts_unit& accounts;
  const replication_unit& replication;
  const usage_unit& usage;
  const extensions_unit& extensions;
  const metrics_sources& figures; ///< what it tells others of this node's load
};

/// Nothing on a node that is alone. A drain goes through it three times: the directory is told that
/// the node leaves (announce), limiters and keys go to other nodes (hand_over), links close
/// (leave).
class cluster_unit final : public unit {
 public:
  cluster_unit(node_core& core, const cluster_needs& needs);

  std::string_view name() const override { return "cluster"; }
  result<void> start() override;
  void drain(drain_step step, node_drain& by) override;
  void stop() override;
  void add_figures(metrics_sources& to) override;
  /// Reads the certificate again, from where it was at the start.
  void reload_certificate();

  /// Waits, but not for long, until the directory has let this node in. Who starts while it is away
  /// serves all the same, as cluster.on_owner_unreachable says.
  void join_cluster();

 private:
  result<void> start_transport();
  void start_membership(const peer_up& here);
  void start_links(const peer_up& here, const std::vector<std::string>& fixed);
  void announce(node_drain& by);
  void hand_over(node_drain& by);
  bool all_gone(node_drain& by);
  bool somebody_stays() const;
  void leave(node_drain& by);

  node_core& core_;
  cluster_needs needs_;
  std::shared_ptr<membership_metrics> membership_metrics_ = std::make_shared<membership_metrics>();
  std::shared_ptr<membership_status> board_ = std::make_shared<membership_status>();
  std::shared_ptr<link_metrics> link_metrics_ = std::make_shared<link_metrics>();
  std::shared_ptr<handshake_metrics> handshake_metrics_ = std::make_shared<handshake_metrics>();
  std::unique_ptr<cluster_transport> transport_; // null: no cluster
  cluster_tls* tls_ = nullptr;                   // the same; null: plain TCP between nodes
  bool others_know_ = false;                     // that this node leaves
  membership_handle membership_;                 // null: no directory
  handshake_acceptor_handle gate_;
  peer_connector_handle links_;
};

} // namespace penstock
