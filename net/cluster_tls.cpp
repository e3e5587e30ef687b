#include "net/cluster_tls.hpp"

#include "actors/peer_link.hpp"
#include "actors/system_config.hpp"
#include "net/tcp_probe.hpp"
#include "net/tls_handshakes.hpp"

#include <caf/io/middleman.hpp>
#include <caf/io/middleman_actor_impl.hpp>
#include <caf/io/network/default_multiplexer.hpp>
#include <caf/io/network/doorman_impl.hpp>
#include <caf/io/network/interfaces.hpp>
#include <caf/io/network/stream_impl.hpp>
#include <caf/io/scribe.hpp>
#include <spdlog/spdlog.h>

#include <poll.h>
#include <unistd.h>

#include <algorithm>

// CAF 0.17 has its own libcaf_openssl; docs/decisions/021-own-tls-between-nodes.md says why it is
// not used. The classes here stand where its own do.

namespace penstock {
namespace {

namespace network = caf::io::network;
using network::native_socket;
using network::rw_state;
using multiplexer = network::default_multiplexer;

// How CAF's stream reads from and writes to a socket.
class tls_policy {
 public:
  explicit tls_policy(std::unique_ptr<tls_session> session) : session_(std::move(session)) {}

  rw_state read_some(std::size_t& count, native_socket, void* into, std::size_t size) {
    count = 0;
    if (size == 0) return rw_state::indeterminate;
    return state_after(session_->read(into, size, count));
  }

  rw_state write_some(std::size_t& count, native_socket, const void* from, std::size_t size) {
    count = 0;
    if (size == 0) return rw_state::indeterminate;
    return state_after(session_->write(from, size, count));
  }

  // What was read ahead wakes nobody.
  bool must_read_more(native_socket, std::size_t) { return session_->has_pending(); }

 private:
  static rw_state state_after(tls_step step) {
    return step == tls_step::failed ? rw_state::failure : rw_state::success;
  }

  std::unique_ptr<tls_session> session_;
};

// A connection, as network::scribe_impl but for the policy.
class tls_scribe final : public caf::io::scribe {
 public:
  tls_scribe(multiplexer& loop, native_socket socket, std::unique_ptr<tls_session> session)
      : scribe(network::conn_hdl_from_socket(socket)), stream_(loop, socket, std::move(session)) {}

  void configure_read(caf::io::receive_policy::config config) override {
    if (!launched_) count_as_heard(*this);
    stream_.configure_read(config);
    if (!launched_) stream_.start(this);
    launched_ = true;
  }
  void ack_writes(bool enable) override { stream_.ack_writes(enable); }
  std::vector<char>& wr_buf() override { return stream_.wr_buf(); }
  std::vector<char>& rd_buf() override { return stream_.rd_buf(); }
  void graceful_shutdown() override {
    stream_.graceful_shutdown();
    detach(&stream_.backend(), false);
  }
  void flush() override { stream_.flush(this); }
  std::string addr() const override {
    auto address = network::remote_addr_of_fd(stream_.fd());
    return address ? *address : std::string{};
  }
  std::uint16_t port() const override {
    auto port = network::remote_port_of_fd(stream_.fd());
    return port ? *port : std::uint16_t{0};
  }
  void add_to_loop() override { stream_.activate(this); }
  void remove_from_loop() override { stream_.passivate(); }

 private:
  bool launched_ = false;
  network::stream_impl<tls_policy> stream_;
};

// The cluster port. CAF's broker sees a connection when its peer has proved itself.
class tls_doorman final : public network::doorman_impl {
 public:
  tls_doorman(multiplexer& loop, native_socket socket, std::shared_ptr<tls_handshakes> handshakes)
      : doorman_impl(loop, socket), handshakes_(std::move(handshakes)) {}

  bool new_connection() override {
    const native_socket socket = acceptor_.accepted_socket();
    if (detached() || !network::nonblocking(socket, true)) {
      ::close(socket);
      return false;
    }
    handshakes_->begin(socket, [self = caf::intrusive_ptr<tls_doorman>(this)](
                                   int proved, std::unique_ptr<tls_session> session) {
      self->acceptor_.backend().post([self, proved, session = std::move(session)]() mutable {
        self->let_in(proved, std::move(session));
      });
    });
    return true;
  }

 private:
  // On the multiplexer's thread, as brokers need it.
  void let_in(native_socket socket, std::unique_ptr<tls_session> session) {
    if (detached()) {
      ::close(socket);
      return;
    }
    auto& loop = acceptor_.backend();
    auto scribe = caf::make_counted<tls_scribe>(loop, socket, std::move(session));
    const auto handle = scribe->hdl();
    parent()->add_scribe(std::move(scribe));
    doorman::new_connection(&loop, handle);
  }

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
    return caf::make_counted<tls_scribe>(loop(), *socket, std::move(session));
  }

  caf::expected<caf::io::doorman_ptr> open(std::uint16_t port, const char* address,
                                           bool reuse) override {
    auto socket = network::new_tcp_acceptor_impl(port, address, reuse);
    if (!socket) return std::move(socket.error());
    return caf::make_counted<tls_doorman>(loop(), *socket, handshakes_);
  }

 private:
  static caf::error open(tls_session& session, native_socket socket) {
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

  multiplexer& loop() { return dynamic_cast<multiplexer&>(system().middleman().backend()); }

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

result<std::unique_ptr<cluster_tls>> cluster_tls::start(caf::actor_system& system,
                                                        const tls_files& files,
                                                        std::shared_ptr<gate_metrics> metrics) {
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
