// How the actor system of a node is set up.
#pragma once

#include "actors/accounts/account_messages.hpp"
#include "actors/cluster/link_messages.hpp"
#include "actors/cluster/membership_messages.hpp"
#include "actors/idempotency/claim_messages.hpp"
#include "actors/limiter/peer_messages.hpp"
#include "actors/limits/limit_messages.hpp"
#include "actors/replication/replica_messages.hpp"
#include "actors/usage/usage_copy_messages.hpp"

#include <caf/io/middleman.hpp>

#include <chrono>
#include <cstddef>

namespace penstock {

/// A peer from which nothing came for `peer_timeout` is lost; every node sends a sign of life each
/// `heartbeat`, so a stopped process is noticed in about 1.1 s, and a killed one at once.
inline constexpr std::chrono::milliseconds heartbeat{200};
inline constexpr std::chrono::milliseconds peer_timeout{1000};

class system_config : public caf::actor_system_config {
 public:
  /// `threads`: scheduler workers.
  explicit system_config(std::size_t threads) {
    // Those with messages between nodes.
    add_message_types<caf::id_block::penstock_limits>();
    add_message_types<caf::id_block::penstock_links>();
    add_message_types<caf::id_block::penstock_limit_queries>();
    add_message_types<caf::id_block::penstock_claims>();
    add_message_types<caf::id_block::penstock_accounts>();
    add_message_types<caf::id_block::penstock_plan_deletions>();
    add_message_types<caf::id_block::penstock_peers>();
    add_message_types<caf::id_block::penstock_membership>();
    add_message_types<caf::id_block::penstock_lease_returns>();
    add_message_types<caf::id_block::penstock_replicas>();
    add_message_types<caf::id_block::penstock_usage_copies>();
    // Stealing, the default, starts at least four threads that poll.
    set("scheduler.policy", caf::atom("sharing"));
    set("scheduler.max-threads", threads);
  }

 protected:
  /// For nodes with peers, beside CAF's middleman.
  void set_links() {
    // Nodes talk over direct links only: routes over hops have open bugs upstream.
    set("middleman.enable-automatic-connections", false);
    set("middleman.heartbeat-interval", caf::timespan{heartbeat});
    set("middleman.connection-timeout", caf::timespan{peer_timeout});
    // What comes is read where it arrives: handing it to the scheduler wakes a thread more for
    // each message.
    set("middleman.workers", std::size_t{0});
  }
};

} // namespace penstock
