// How nodes introduce themselves to each other, and what a node's actors are told of its peers.
#pragma once

#include "actors/base/compat.hpp"
#include "actors/base/wire_version.hpp"
#include "actors/cluster/placement.hpp"
#include "actors/interfaces/interfaces.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace penstock {

// -- between nodes: these are serialised; the tests round-trip each -------------------------------

/// A node introduces itself to a peer's gate.
struct hello {
  std::uint32_t version = wire_version;       ///< the latest that it speaks…
  std::uint32_t oldest = oldest_wire_version; ///< …and the oldest
  std::string cluster;
  std::string address; ///< the cluster address the sender is known by
};

/// The gate's answer: this node's limiter actors; shard s belongs to limiters[s % size]. And its
/// front ends, which take events whose keys belong to this node, and its accounts actor. The wire
/// knows no types of actors: see peer_handles.hpp.
struct welcome {
  std::uint32_t version = wire_version; ///< that both will speak
  std::vector<caf::actor> limiters;
  std::vector<caf::actor> front_ends{};
  caf::actor accounts{};
  caf::actor directory{};     ///< null: its members are a fixed list
  caf::actor replicas{};      ///< holds other nodes' events; from version 5 on
  std::string secret_check{}; ///< see cluster_settings; from version 9 on, before that empty
  caf::actor usage{};         ///< null: it counts none; from version 10 on, as the next
  caf::actor usage_reader{};
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, hello& x) {
  return f(x.version, x.oldest, x.cluster, x.address);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, welcome& x) {
  auto replicas = since<replicas_wire_version>(x.version, x.replicas);
  auto secret_check = since<secret_wire_version>(x.version, x.secret_check);
  auto usage = since<usage_wire_version>(x.version, x.usage);
  auto usage_reader = since<usage_wire_version>(x.version, x.usage_reader);
  return f(x.version, x.limiters, x.front_ends, x.accounts, x.directory, replicas, secret_check,
           usage, usage_reader);
}

// -- within a node: never serialised --------------------------------------------------------------

/// A peer's actors came (again) within reach, or went out of it. Told to front ends, limiters and
/// the accounts actor.
struct peer_up {
  std::uint16_t member = 0; ///< this node's number for it, as in placement
  std::vector<limiter_handle> limiters;
  std::vector<front_end_handle> front_ends{};
  accounts_handle accounts{};
  membership_handle directory{};
  replica_handle replicas{}; ///< null: it holds no events of others
  std::string address{};
  std::uint32_t version = wire_version; ///< that both speak
  usage_handle usage{};                 ///< null: it counts none, as the next
  usage_reader_handle usage_reader{};
};
struct peer_down {
  std::uint16_t member = 0;
};

/// To the gate, before anything else: whom it tells of the peers that it welcomed.
struct links_known {
  peer_connector_handle links;
};

/// Shards have other places from now on. Told to front ends and limiters.
struct placement_changed {
  std::shared_ptr<const placement> to;
};

} // namespace penstock

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::peer_up)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::peer_down)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::placement_changed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::links_known)

CAF_BEGIN_TYPE_ID_BLOCK(penstock_links, caf::first_custom_type_id + 6)
CAF_ADD_TYPE_ID(penstock_links, (penstock::hello))
CAF_ADD_TYPE_ID(penstock_links, (penstock::welcome))
CAF_ADD_TYPE_ID(penstock_links, (penstock::peer_up))
CAF_ADD_TYPE_ID(penstock_links, (penstock::peer_down))
CAF_ADD_TYPE_ID(penstock_links, (penstock::placement_changed))
CAF_END_TYPE_ID_BLOCK(penstock_links)

CAF_BEGIN_TYPE_ID_BLOCK(penstock_gate, caf::first_custom_type_id + 296)
CAF_ADD_TYPE_ID(penstock_gate, (penstock::links_known))
CAF_END_TYPE_ID_BLOCK(penstock_gate)
