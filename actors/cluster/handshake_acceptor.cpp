#include "actors/cluster/handshake_acceptor.hpp"

#include "actors/base/fail_fast.hpp"
#include "actors/base/lifecycle_messages.hpp"
#include "actors/cluster/peer_connector.hpp"

#include <caf/function_view.hpp>
#include <caf/io/middleman.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>

namespace penstock {
namespace {

caf::error refuse(handshake_metrics& metrics, handshake_refusal reason, const hello& peer,
                  const std::string& why) {
  switch (reason) {
  case handshake_refusal::version:
    metrics.version.add();
    break;
  case handshake_refusal::cluster:
    metrics.cluster.add();
    break;
  case handshake_refusal::address:
    metrics.address.add();
  }
  spdlog::warn("refused the node at {}: {}", peer.address, why);
  return {static_cast<std::uint8_t>(reason), handshake_category, caf::make_message(why)};
}

} // namespace

handshake_acceptor_handle::behavior_type
handshake_acceptor(handshake_acceptor_handle::pointer self, std::string cluster,
                   std::vector<std::string> members, welcome here,
                   std::shared_ptr<handshake_metrics> metrics) {
  end_process_on_exception(self);
  auto links = std::make_shared<peer_connector_handle>();
  return {
      [=, cluster = std::move(cluster), members = std::move(members), here = std::move(here),
       metrics = std::move(metrics)](const hello& peer) -> caf::result<welcome> {
        welcome answer = here;
        answer.version = std::min(peer.version, here.version);
        if (answer.version < std::max(peer.oldest, oldest_wire_version))
          return refuse(*metrics, handshake_refusal::version, peer,
                        fmt::format("it speaks wire versions {} to {}, this node {} to {}",
                                    peer.oldest, peer.version, oldest_wire_version, here.version));
        if (peer.cluster != cluster)
          return refuse(*metrics, handshake_refusal::cluster, peer,
                        fmt::format("it belongs to cluster \"{}\", this node to \"{}\"",
                                    peer.cluster, cluster));
        if (!members.empty() && std::ranges::find(members, peer.address) == members.end())
          return refuse(*metrics, handshake_refusal::address, peer,
                        fmt::format("its cluster.listen, \"{}\", is not among this node's "
                                    "cluster.peers as spelled there",
                                    peer.address));
        spdlog::info("welcomed the node at {}", peer.address);
        if (*links) self->send(*links, caf::connect_atom_v, peer.address);
        return answer;
      },
      [links](const links_known& update) { *links = update.links; },
      [self](drain) { self->quit(); },
  };
}

result<std::uint16_t> publish_handshake_acceptor(const handshake_acceptor_handle& gate,
                                                 const std::string& listen,
                                                 const caf::io::middleman_actor& transport) {
  const result<peer_address> address = parse_peer_address(listen);
  if (!address) return address.error();
  auto publish = caf::make_function_view(transport);
  const auto port =
      publish(caf::publish_atom_v, address->port, caf::actor_cast<caf::strong_actor_ptr>(gate),
              std::set<std::string>{}, address->host, true);
  if (!port)
    return error{errc::unavailable, fmt::format("cannot listen for peers on {}: {}", listen,
                                                gate.home_system().render(port.error()))};
  return *port;
}

} // namespace penstock
