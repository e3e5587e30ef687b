// Clients that another plan applies to than the one they would have, or that are not served.
#pragma once

#include "actors/base/ip_network.hpp"
#include "net/clients/identity.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace penstock {

/// One entry of the configuration: just one of account, client and ip is set.
struct override_settings {
  std::string account; ///< an account, whichever of its keys is used
  std::string client;  ///< what the header, cookie or Referer says by which clients are told apart
  std::string ip;      ///< a network, for clients told apart by address
  std::string plan;    ///< one without limits exempts them
  bool deny = false;   ///< they are not served; has no plan
  bool operator==(const override_settings&) const = default;
};

/// The most of them; networks are looked through one by one.
inline constexpr std::size_t max_overrides = 1024;

/// Immutable; any number of threads may read.
class plan_overrides {
 public:
  plan_overrides() = default;
  /// The identifier tells by what names clients of a header, cookie or Referer go.
  plan_overrides(const std::vector<override_settings>& entries, const identifier& identify);

  bool empty() const { return by_client_.empty() && by_network_.empty(); }
  /// The plan that applies instead, by id. `address`: of a client that is told apart by it. Of
  /// several networks the smallest counts.
  std::optional<std::uint32_t> find(std::uint64_t client, const ip_address* address) const;
  /// Whether nobody at this address is served, whatever else they are known by. A smaller network
  /// with a plan is an exception.
  bool denies(const ip_address& address) const;
  /// Whether this client is not served, wherever it is.
  bool denies(std::uint64_t client) const;

 private:
  struct action {
    bool deny = false;
    std::uint32_t plan = 0;
  };
  const action* find_network(const ip_address& address) const;

  boost::unordered_flat_map<std::uint64_t, action> by_client_;
  std::vector<std::pair<ip_network, action>> by_network_; // the smallest first
};

} // namespace penstock
