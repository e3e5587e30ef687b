#include "cli/node/cluster_seat.hpp"

#include "net/base/boot_clock.hpp"
#include "net/base/wall_time.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <random>

namespace penstock {

namespace {

std::string new_incarnation() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}", random(), random());
}

std::vector<std::string> members_of(const cluster_settings& cluster) {
  if (cluster.directory == directory_kind::none) return {cluster.listen};
  auto all = cluster.peers;
  all.push_back(cluster.listen);
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

placement_ptr placement_without_owners() {
  placement nobody;
  for (auto& shard : nobody.shards)
    shard = {.owner = no_member};
  nobody.confirmed = false;
  return std::make_shared<const placement>(nobody);
}

} // namespace

cluster_seat::cluster_seat(const config& settings)
    : members_(members_of(settings.cluster)), incarnation_(new_incarnation()) {
  if (settings.cluster.directory == directory_kind::none) return;
  if (settings.cluster.directory == directory_kind::nats) {
    // Its number is 0, see membership_actor.
    first_placement_ = placement_without_owners();
    decides_until_ns_ = std::make_shared<std::atomic<std::int64_t>>(0);
    time_ = std::make_shared<cluster_time>();
    time_->base_ns.store(wall_ns() - boot_ns());
    return;
  }
  const auto self = std::ranges::find(members_, settings.cluster.listen);
  self_member_ = static_cast<std::uint16_t>(self - members_.begin());
  first_placement_ = std::make_shared<const placement>(fixed_placement(members_));
}

wall_clock cluster_seat::limits_clock() const {
  return time_ ? wall_clock{time_, boot_ns} : wall_clock{};
}

} // namespace penstock
