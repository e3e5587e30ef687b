#include "net/links/cluster_tls.hpp"

#include "actors/cluster/peer_connector.hpp"
#include "actors/system_config.hpp"
#include "net/links/link_connection.hpp"
#include "net/links/peers_broker.hpp"
#include "net/links/tls_handshakes.hpp"
#include "net/loop/tcp_probe.hpp"

#include <caf/io/middleman_actor_impl.hpp>
#include <caf/io/network/default_multiplexer.hpp>
#include <spdlog/spdlog.h>

#include <poll.h>
#include <unistd.h>

#include <algorithm>

// CAF 0.17 has its own libcaf_openssl; docs/decisions/021-own-tls-between-nodes.md says why it is
// not used. The classes here stand where its own do.

namespace penstock {
namespace {

namespace network = caf::io::network;

// The cluster port. CAF's broker sees a connection when its peer has proved itself.
class tls_door final : public link_door {
 public:
  tls_door(link_multiplexer& links, int socket, std::shared_ptr<tls_handshakes> handshakes)
      : link_door(links, socket), handshakes_(std::move(handshakes)) {}

 protected:
  void accepted(int socket) override {
    handshakes_->begin(socket, [self = caf::intrusive_ptr<tls_door>(this)](
                                   int proved, std::unique_ptr<tls_session> session) {
      auto held = std::make_shared<std::unique_ptr<tls_session>>(std::move(session));
      self->links().loop().post(
          [self, proved, held = std::move(held)] { self->let_in(proved, std::move(*held)); });
    });
  }

 private:
  std::shared_ptr<tls_handshakes> handshakes_;
};

class tls_middleman final : public caf::io::middleman_actor_impl {
 public:
  tls_middleman(caf::actor_config& config, caf::actor broker,
                std::shared_ptr<const tls_contexts> contexts,
                std::shared_ptr<tls_handshakes> handshakes)
      : middleman_actor_impl(config, std::move(broker)), contexts_(std::move(contexts)),
        handshakes_(std::move(handshakes)) {}

  const char* name() const override { return "tls_middleman"; }

 protected:
  // It blocks, on the actor's own thread, and for a limited time.
  caf::expected<caf::io::scribe_ptr> connect(const std::string& host, std::uint16_t port) override {
    const auto socket = connect_tcp(host, port, peer_timeout);
    if (!socket) return caf::make_error(caf::sec::cannot_connect_to_node, socket.error().message);
    auto session = std::make_unique<tls_session>(contexts_->now(), *socket, false);
    if (const auto opened = open(*session, *socket); opened) {
      ::close(*socket);
      return opened;
    }
    return caf::make_counted<link_connection>(link_multiplexer::of(system()), *socket,
                                              std::move(session));
  }

  caf::expected<caf::io::doorman_ptr> open(std::uint16_t port, const char* address,
                                           bool reuse) override {
    auto socket = network::new_tcp_acceptor_impl(port, address, reuse);
    if (!socket) return std::move(socket.error());
    return caf::make_counted<tls_door>(link_multiplexer::of(system()), *socket, handshakes_);
  }

 private:
  static caf::error open(tls_session& session, int socket) {
    const auto deadline = std::chrono::steady_clock::now() + peer_timeout;
    for (;;) {
      const auto step = session.open();
      if (step == tls_step::done) return {};
      if (step == tls_step::failed) {
        const auto& fault = session.fault();
        if (!fault.refusal) return caf::make_error(caf::sec::cannot_connect_to_node, fault.what);
        return {1, transport_category, caf::make_message(fault.what)};
      }
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
      pollfd wanted{socket, static_cast<short>(step == tls_step::wants_read ? POLLIN : POLLOUT), 0};
      if (left.count() <= 0 || ::poll(&wanted, 1, static_cast<int>(left.count())) == 0)
        return caf::make_error(caf::sec::connection_timeout);
    }
  }

  std::shared_ptr<const tls_contexts> contexts_;
  std::shared_ptr<tls_handshakes> handshakes_;
};

// A node without a valid certificate still takes events, so it starts.
void warn_of_own_certificate(const tls_context& context, const tls_files& files) {
  if (const auto fault = own_certificate_fault(context); !fault.empty())
    spdlog::error("cluster.tls_cert: {}: {}; peers with the authority of {} will refuse this node",
                  files.cert, fault, files.ca);
}

} // namespace

result<std::unique_ptr<cluster_tls>>
cluster_tls::start(caf::actor_system& system, const tls_files& files,
                   std::shared_ptr<handshake_metrics> metrics) {
  auto context = load_tls_context(files);
  if (!context) return context.error();
  warn_of_own_certificate(*context, files);
  auto contexts = std::make_shared<tls_contexts>(std::move(*context));
  auto handshakes = std::make_shared<tls_handshakes>(contexts, std::move(metrics));
  return std::unique_ptr<cluster_tls>{
      new cluster_tls(system, std::move(contexts), std::move(handshakes))};
}

cluster_tls::cluster_tls(caf::actor_system& system, std::shared_ptr<tls_contexts> contexts,
                         std::shared_ptr<tls_handshakes> handshakes)
    : cluster_transport(system, system.spawn<tls_middleman, caf::detached + caf::hidden>(
                                    broker_of_peers(system), contexts, handshakes)),
      contexts_(std::move(contexts)), handshakes_(std::move(handshakes)) {}

cluster_tls::~cluster_tls() {
  handshakes_->stop();
}

result<void> cluster_tls::reload(const tls_files& files) {
  auto context = load_tls_context(files);
  if (!context) return context.error();
  warn_of_own_certificate(*context, files);
  contexts_->exchange(std::move(*context));
  return {};
}

} // namespace penstock
