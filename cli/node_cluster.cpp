// The part of a node that only nodes with peers have.
#include "actors/gate.hpp"
#include "actors/placement.hpp"
#include "cli/node.hpp"
#include "net/boot_clock.hpp"
#include "net/tcp_probe.hpp"

#include <algorithm>

namespace penstock {

std::vector<std::string> node::members() const {
  if (settings_.cluster.directory == directory_kind::none) return {settings_.cluster.listen};
  auto result = settings_.cluster.peers;
  result.push_back(settings_.cluster.listen);
  std::sort(result.begin(), result.end());
  result.erase(std::unique(result.begin(), result.end()), result.end());
  return result;
}

std::uint16_t node::self_member() const {
  const auto all = members();
  return static_cast<std::uint16_t>(std::ranges::find(all, settings_.cluster.listen) -
                                    all.begin());
}

placement_ptr node::first_placement() const {
  if (settings_.cluster.directory == directory_kind::none) return nullptr;
  return std::make_shared<const placement>(fixed_placement(members()));
}

std::optional<limiter_cluster_parts> node::cluster_parts(std::size_t lane) {
  if (settings_.cluster.directory == directory_kind::none) return std::nullopt;
  limiter_cluster_parts parts;
  parts.self = self_member();
  parts.lane = lane;
  parts.lanes = lanes_.size();
  parts.on_unreachable = settings_.cluster.on_owner_unreachable;
  parts.verdict_timeout_ms = settings_.cluster.verdict_timeout_ms;
  parts.places = first_placement();
  parts.steady_ns = boot_ns;
  parts.metrics = lanes_[lane].cluster_counts = std::make_shared<limiter_cluster_metrics>();
  return parts;
}

result<void> node::start_cluster() {
  if (settings_.cluster.directory == directory_kind::none) return {};
  std::vector<caf::actor> told_of_peers;
  welcome here;
  here.accounts = accounts_;
  for (auto& lane : lanes_) {
    here.limiters.push_back(lane.limiter);
    here.front_ends.push_back(lane.front_end);
  }
  told_of_peers = here.front_ends;
  told_of_peers.insert(told_of_peers.end(), here.limiters.begin(), here.limiters.end());
  told_of_peers.push_back(accounts_);
  gate_ = system_.spawn(gate, settings_.cluster.name, members(), here);
  if (auto port = publish_gate(gate_, settings_.cluster.listen); !port) return port.error();
  links_ = system_.spawn(peer_links, settings_.cluster, members(), told_of_peers, probe_tcp,
                         link_metrics_);
  return {};
}

} // namespace penstock
