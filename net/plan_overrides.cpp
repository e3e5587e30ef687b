#include "net/plan_overrides.hpp"

#include "actors/plan_set.hpp"

#include <algorithm>

namespace penstock {

plan_overrides::plan_overrides(const std::vector<override_settings>& entries,
                               const identifier& identify) {
  for (const auto& entry : entries) {
    const auto plan = plan_id(entry.plan);
    if (!entry.account.empty()) by_client_[identify.client_of("account", entry.account)] = plan;
    if (!entry.client.empty())
      for (const auto client : identify.clients_named(entry.client))
        by_client_[client] = plan;
    if (const auto network = parse_network(entry.ip)) by_network_.emplace_back(*network, plan);
  }
  std::stable_sort(by_network_.begin(), by_network_.end(), [](const auto& a, const auto& b) {
    return a.first.prefix_bits > b.first.prefix_bits;
  });
}

std::optional<std::uint32_t> plan_overrides::find(std::uint64_t client,
                                                  const ip_address* address) const {
  if (const auto found = by_client_.find(client); found != by_client_.end()) return found->second;
  if (!address) return std::nullopt;
  for (const auto& [network, plan] : by_network_)
    if (network.contains(*address)) return plan;
  return std::nullopt;
}

} // namespace penstock
