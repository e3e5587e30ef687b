// What a node knows of its place in a cluster before it has spoken to anybody.
#pragma once

#include "actors/base/wall_clock.hpp"
#include "actors/cluster/placement.hpp"
#include "cli/config/config.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace penstock {

class cluster_seat {
 public:
  explicit cluster_seat(const config& settings);

  /// Addresses of a fixed list, sorted: a member's number is its place there.
  const std::vector<std::string>& members() const { return members_; }
  std::uint16_t self_member() const { return self_member_; }
  /// Null on a node that is alone. With a directory nobody has a shard until it has let this node
  /// in.
  const placement_ptr& first_placement() const { return first_placement_; }
  /// Of this process, among those of its address.
  const std::string& incarnation() const { return incarnation_; }
  /// Until when (boot clock) this node may decide for its shards; null without a directory.
  const std::shared_ptr<std::atomic<std::int64_t>>& decides_until_ns() const {
    return decides_until_ns_;
  }
  /// By the boot clock; null without a directory.
  const std::shared_ptr<cluster_time>& time() const { return time_; }
  /// What limits are counted in: a clock for one thread.
  wall_clock limits_clock() const;

 private:
  std::vector<std::string> members_;
  std::uint16_t self_member_ = 0;
  placement_ptr first_placement_;
  std::string incarnation_;
  std::shared_ptr<std::atomic<std::int64_t>> decides_until_ns_;
  std::shared_ptr<cluster_time> time_;
};

} // namespace penstock
