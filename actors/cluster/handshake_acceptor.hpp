// The actor that peers find on the cluster port.
#pragma once

#include "actors/base/metrics.hpp"
#include "actors/cluster/link_messages.hpp"
#include "actors/interfaces/interfaces.hpp"

#include <caf/io/middleman_actor.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace penstock {

/// Why a gate refuses a hello: the code of a caf::error of category `handshake_category`, whose
/// context is a sentence for the log.
enum class handshake_refusal : std::uint8_t { version = 1, cluster, address };
inline constexpr caf::atom_value handshake_category = caf::atom("gate");

/// Nodes that were turned away, by the reason.
struct alignas(64) handshake_metrics {
  counter version; ///< they speak another wire version
  counter cluster; ///< of another name
  counter address; ///< not a member as spelled here
  alignas(
      64) counter tls; ///< no TLS, or no certificate that is accepted; net/links/tls_handshakes.hpp
};

/// Answers hello with `here`, this node's actors and the latest wire version that it is to speak;
/// refuses a peer that speaks no wire version that
/// this node speaks, that belongs to another cluster, or whose address is not spelled as in
/// `members`: such a node would place shards differently, and clients would be counted twice. No
/// members: a directory says who they are. Whom it welcomes it names to the links (see
/// peer_connector), of which links_known tells it. `drain` ends it.
handshake_acceptor_handle::behavior_type
handshake_acceptor(handshake_acceptor_handle::pointer self, std::string cluster,
                   std::vector<std::string> members, welcome here,
                   std::shared_ptr<handshake_metrics> metrics);

/// Opens the cluster port, "host:port" (port 0: any that is free), for a gate; gives the port.
/// `transport` does it: the middleman's own actor, or that of net/links/cluster_transport.hpp.
/// Blocks: not for use in an actor. Errors: errc::config for a malformed address, errc::unavailable
/// when it can't be bound.
result<std::uint16_t> publish_handshake_acceptor(const handshake_acceptor_handle& gate,
                                                 const std::string& listen,
                                                 const caf::io::middleman_actor& transport);

} // namespace penstock
