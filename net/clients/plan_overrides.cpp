#include "net/clients/plan_overrides.hpp"

#include "actors/limits/plan_set.hpp"

#include <algorithm>

namespace penstock {

plan_overrides::plan_overrides(const std::vector<override_settings>& entries,
                               const identifier& identify) {
  for (const auto& entry : entries) {
    const action what{entry.deny, entry.deny ? 0 : plan_id(entry.plan)};
    if (!entry.account.empty()) by_client_[identify.client_of("account", entry.account)] = what;
    if (!entry.client.empty())
      for (const auto client : identify.clients_named(entry.client))
        by_client_[client] = what;
    if (entry.ip.empty()) continue;
    if (const auto network = parse_network(entry.ip)) by_network_.emplace_back(*network, what);
  }
  std::stable_sort(by_network_.begin(), by_network_.end(), [](const auto& a, const auto& b) {
    // Of equal ones that say both, the one that denies comes first.
    if (a.first.prefix_bits == b.first.prefix_bits) return a.second.deny && !b.second.deny;
    return a.first.prefix_bits > b.first.prefix_bits;
  });
}

const plan_overrides::action* plan_overrides::find_network(const ip_address& address) const {
  for (const auto& [network, what] : by_network_)
    if (network.contains(address)) return &what;
  return nullptr;
}

std::optional<std::uint32_t> plan_overrides::find(std::uint64_t client,
                                                  const ip_address* address) const {
  if (const auto found = by_client_.find(client); found != by_client_.end() && !found->second.deny)
    return found->second.plan;
  const auto* what = address ? find_network(*address) : nullptr;
  if (!what || what->deny) return std::nullopt;
  return what->plan;
}

bool plan_overrides::denies(const ip_address& address) const {
  const auto* what = find_network(address);
  return what && what->deny;
}

bool plan_overrides::denies(std::uint64_t client) const {
  const auto found = by_client_.find(client);
  return found != by_client_.end() && found->second.deny;
}

} // namespace penstock
