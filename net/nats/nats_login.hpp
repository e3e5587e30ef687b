// What can be wrong with a login to NATS.
#pragma once

#include "actors/cluster/nats_login.hpp"

#include <string>

namespace penstock {

/// What is wrong with these settings by themselves: the setting's name, and why. Both are empty
/// when nothing is.
struct nats_login_fault {
  std::string setting{};
  std::string why{};
};
nats_login_fault fault_of(const nats_login& login);

} // namespace penstock
