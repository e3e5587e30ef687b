// Links between actor systems that are far from each other, over relays that delay what they pass.
// Real sockets and so real time: each wait is for a condition, up to a deadline that only a fault
// reaches.
#include "actors/base/lifecycle_messages.hpp"
#include "actors/cluster/cluster_settings.hpp"
#include "actors/cluster/handshake_acceptor.hpp"
#include "actors/cluster/link_messages.hpp"
#include "actors/cluster/peer_connector.hpp"
#include "net/links/cluster_transport.hpp"
#include "net/links/link_multiplexer.hpp"
#include "net/links/peers_broker.hpp"
#include "net/loop/tcp_probe.hpp"
#include "tests/unit/actors/stand_in.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <caf/io/middleman.hpp>
#include <catch2/catch.hpp>

#include <array>
#include <functional>
#include <future>
#include <memory>
#include <thread>

using namespace penstock;
using namespace std::chrono_literals;

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

// One direction of a connection: what comes goes on `delay` later. One chunk at a time is enough
// for handshakes.
class delayed_way : public std::enable_shared_from_this<delayed_way> {
 public:
  delayed_way(std::shared_ptr<tcp::socket> from, std::shared_ptr<tcp::socket> to,
              std::chrono::milliseconds delay)
      : from_(std::move(from)), to_(std::move(to)), timer_(from_->get_executor()), delay_(delay) {}

  void pass() {
    from_->async_read_some(asio::buffer(chunk_), [self = shared_from_this()](auto ec, auto size) {
      self->timer_.expires_after(self->delay_);
      self->timer_.async_wait([self, ec, size](auto) {
        if (ec) return void(self->to_->close());
        boost::system::error_code failure;
        asio::write(*self->to_, asio::buffer(self->chunk_, size), failure);
        if (!failure) self->pass();
      });
    });
  }

 private:
  std::shared_ptr<tcp::socket> from_, to_;
  asio::steady_timer timer_;
  std::chrono::milliseconds delay_;
  std::array<char, 65536> chunk_{};
};

// Listens on a port of its own for what is meant for another.
class relay {
 public:
  explicit relay(std::chrono::milliseconds delay) : delay_(delay) {
    accept();
    thread_ = std::thread{[this] { io_.run(); }};
  }
  ~relay() {
    io_.stop();
    thread_.join();
  }

  std::string address() const {
    return "127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port());
  }
  void lead_to(std::uint16_t port) { port_ = port; }

 private:
  void accept() {
    auto near = std::make_shared<tcp::socket>(io_);
    acceptor_.async_accept(*near, [this, near](auto ec) {
      if (ec) return;
      auto far = std::make_shared<tcp::socket>(io_);
      boost::system::error_code failure;
      far->connect({asio::ip::address_v4::loopback(), port_}, failure);
      if (!failure) {
        std::make_shared<delayed_way>(near, far, delay_)->pass();
        std::make_shared<delayed_way>(far, near, delay_)->pass();
      }
      accept();
    });
  }

  asio::io_context io_;
  tcp::acceptor acceptor_{io_, {asio::ip::address_v4::loopback(), 0}};
  std::chrono::milliseconds delay_;
  std::atomic<std::uint16_t> port_{0};
  std::thread thread_;
};

// A node as far as its peers see it, known to them by the address of a relay.
class far_node {
 public:
  far_node(relay& own, const relay& other) {
    cluster_settings settings;
    settings.name = "far";
    settings.listen = own.address();
    settings.reconnect_interval_ms = 200ms;
    deciding = system.spawn([](caf::event_based_actor* self) -> caf::behavior {
      return {[self](drain) { self->quit(); }};
    });
    front_end = system.spawn([](caf::event_based_actor* self) -> caf::behavior {
      return {[](const peer_up&) {}, [](const peer_down&) {}, [self](drain) { self->quit(); }};
    });
    welcome here;
    here.limiters = {deciding};
    door = plain_actor(system.spawn(handshake_acceptor, settings.name, std::vector<std::string>{},
                                    here, std::make_shared<handshake_metrics>()));
    const auto port =
        publish_handshake_acceptor(stand_in(door), "127.0.0.1:0", transport->middleman());
    REQUIRE(port.has_value());
    own.lead_to(*port);
    std::vector<std::string> members{own.address(), other.address()};
    links = plain_actor(system.spawn(peer_connector, settings, members,
                                     std::vector<peer_listener_handle>{stand_in(front_end)},
                                     reach_peer{probe_tcp}, metrics, transport->middleman()));
    caf::anon_send(door, links_known{stand_in(links)});
  }

  ~far_node() {
    for (const caf::actor& each : {links, front_end, door, deciding})
      caf::anon_send(each, drain{});
  }

  std::shared_ptr<link_metrics> metrics = std::make_shared<link_metrics>();
  linked_system_config config{2};
  caf::actor_system system{config};
  std::unique_ptr<cluster_transport> transport = cluster_transport::start_plain(system);
  caf::actor deciding, front_end, door, links;
};

bool are_linked(const far_node& a, const far_node& b) {
  const auto end = std::chrono::steady_clock::now() + 20s;
  while (std::chrono::steady_clock::now() < end) {
    if (a.metrics->links_up.value() == 1 && b.metrics->links_up.value() == 1) return true;
    std::this_thread::sleep_for(2ms);
  }
  return false;
}

} // namespace

TEST_CASE("nodes further apart than a heartbeat link up", "[cluster_transport]") {
  relay to_a{200ms}, to_b{200ms};
  far_node a{to_a, to_b}, b{to_b, to_a};
  CHECK(are_linked(a, b));
}

TEST_CASE("nodes whose connections cross link up all the same", "[cluster_transport]") {
  // Longer than the head start: the one that waits begins before it has been greeted.
  relay to_a{300ms}, to_b{300ms};
  far_node a{to_a, to_b}, b{to_b, to_a};
  CHECK(are_linked(a, b));
}

// As the middleman ends it when the system ends. What comes later must not stay in a mailbox that
// nobody reads: it keeps its sender, and a system waits for its detached actors.
TEST_CASE("the broker of peers closes its mailbox when it ends", "[transport]") {
  linked_system_config config{1, true};
  caf::actor_system system{config};
  const auto broker = broker_of_peers(system);
  auto& itself = dynamic_cast<peers_broker&>(*caf::actor_cast<caf::abstract_actor*>(broker));
  auto& loop = system.middleman().backend();
  const auto on_loop = [&loop](std::function<void()> job) {
    std::promise<void> done;
    loop.post([&] {
      job();
      done.set_value();
    });
    done.get_future().wait();
  };
  on_loop([&] {
    itself.context(&loop);
    itself.quit();
    REQUIRE(itself.finalize());
  });
  caf::anon_send(broker, drain{});
  on_loop([&] { CHECK(itself.mailbox().closed()); });
}
