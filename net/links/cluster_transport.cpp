#include "net/links/cluster_transport.hpp"

#include "actors/system_config.hpp"
#include "net/links/link_connection.hpp"
#include "net/links/peers_broker.hpp"
#include "net/loop/tcp_probe.hpp"

#include <caf/io/basp_broker.hpp>
#include <caf/io/middleman.hpp>
#include <caf/io/middleman_actor_impl.hpp>
#include <caf/io/network/default_multiplexer.hpp>
#include <caf/scoped_actor.hpp>

namespace penstock {
namespace {

class plain_middleman final : public caf::io::middleman_actor_impl {
 public:
  using middleman_actor_impl::middleman_actor_impl;

  const char* name() const override { return "plain_middleman"; }

 protected:
  // It blocks, on the actor's own thread, and for a limited time: CAF's own waits as long as the
  // operating system does, which is minutes.
  caf::expected<caf::io::scribe_ptr> connect(const std::string& host, std::uint16_t port) override {
    const auto socket = connect_tcp(host, port, peer_timeout);
    if (!socket) return caf::make_error(caf::sec::cannot_connect_to_node, socket.error().message);
    return caf::make_counted<link_connection>(link_multiplexer::of(system()), *socket, nullptr);
  }

  caf::expected<caf::io::doorman_ptr> open(std::uint16_t port, const char* address,
                                           bool reuse) override {
    const auto socket = caf::io::network::new_tcp_acceptor_impl(port, address, reuse);
    if (!socket) return socket.error();
    return caf::make_counted<link_door>(link_multiplexer::of(system()), *socket);
  }
};

} // namespace

void count_as_heard(caf::io::scribe& connection) {
  auto& broker = dynamic_cast<caf::io::basp_broker&>(*connection.parent());
  const auto known = broker.ctx.find(connection.hdl());
  if (known != broker.ctx.end()) known->second.last_seen = broker.clock().now();
}

std::unique_ptr<cluster_transport> cluster_transport::start_plain(caf::actor_system& system) {
  return std::unique_ptr<cluster_transport>{new cluster_transport(
      system, system.spawn<plain_middleman, caf::detached + caf::hidden>(broker_of_peers(system)))};
}

cluster_transport::cluster_transport(caf::actor_system& system, caf::io::middleman_actor middleman)
    : system_(system), middleman_(std::move(middleman)) {}

cluster_transport::~cluster_transport() {
  caf::scoped_actor self{system_};
  self->send_exit(middleman_, caf::exit_reason::kill); // it ignores others
  self->wait_for(middleman_);
}

} // namespace penstock
