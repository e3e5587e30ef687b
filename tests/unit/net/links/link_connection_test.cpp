// Connections between nodes on an event loop: what CAF's brokers say over them arrives whole and in
// order, however the network cuts it up. Real sockets and so real time: each wait is for a
// condition, up to a deadline that only a fault reaches.
#include "actors/base/lifecycle_messages.hpp"
#include "actors/cluster/handshake_acceptor.hpp"
#include "net/links/cluster_transport.hpp"
#include "net/links/link_multiplexer.hpp"
#include "net/loop/hosted_actor.hpp"
#include "net/loop/tcp_probe.hpp"
#include "tests/unit/actors/stand_in.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <catch2/catch.hpp>

#include <array>
#include <future>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace penstock;
using namespace std::chrono_literals;

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

// Passes on what comes at one port to another, each way, in pieces of so many bytes.
class slicer {
 public:
  slicer(std::uint16_t to, std::size_t piece) : to_(to), piece_(piece) {
    accept();
    thread_ = std::thread{[this] { io_.run(); }};
  }
  ~slicer() {
    io_.stop();
    thread_.join();
  }
  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

 private:
  using socket_ptr = std::shared_ptr<tcp::socket>;

  void accept() {
    auto near = std::make_shared<tcp::socket>(io_);
    acceptor_.async_accept(*near, [this, near](auto failed) {
      if (failed) return;
      auto far = std::make_shared<tcp::socket>(io_);
      far->connect({asio::ip::address_v4::loopback(), to_});
      for (const auto& end : {near, far})
        end->set_option(tcp::no_delay{true});
      pass(near, far);
      pass(far, near);
      accept();
    });
  }
  void pass(socket_ptr from, socket_ptr to) {
    auto bytes = std::make_shared<std::vector<char>>(piece_);
    from->async_read_some(asio::buffer(*bytes), [=, this](auto failed, auto count) {
      boost::system::error_code ignored;
      if (failed) return void(to->close(ignored));
      asio::write(*to, asio::buffer(*bytes, count), ignored);
      pass(from, to);
    });
  }

  asio::io_context io_;
  tcp::acceptor acceptor_{io_, {asio::ip::address_v4::loopback(), 0}};
  std::uint16_t to_;
  std::size_t piece_;
  std::thread thread_;
};

// An actor system with a gate that gives back what it is sent, and says on which thread it runs.
struct link_node {
  /// `silence`: for how long a peer may say nothing.
  explicit link_node(caf::timespan silence = peer_timeout)
      : system{config.set("middleman.connection-timeout", silence)} {
    door = spawn_hosted<int>(system, link_multiplexer::of(system).loop(),
                             [](caf::stateful_actor<int>* self) {
                               return caf::behavior{[](std::uint64_t number) { return 2 * number; },
                                                    [](const std::string& text) { return text; },
                                                    [self](drain) { self->quit(); }};
                             });
    const auto published =
        publish_handshake_acceptor(stand_in(door), "127.0.0.1:0", transport->middleman());
    REQUIRE(published.has_value());
    port = *published;
  }
  ~link_node() {
    caf::anon_send(door, drain{});
    caf::scoped_actor self{system};
    self->wait_for(door);
  }

  caf::actor reach(std::uint16_t other) {
    caf::actor found;
    caf::scoped_actor self{system};
    self->request(transport->middleman(), caf::infinite, caf::connect_atom_v,
                  std::string{"127.0.0.1"}, other)
        .receive([&](const caf::node_id&, const caf::strong_actor_ptr& gate,
                     const std::set<std::string>&) { found = caf::actor_cast<caf::actor>(gate); },
                 [&](const caf::error& why) { FAIL(system.render(why)); });
    return found;
  }

  linked_system_config config{1};
  caf::actor_system system;
  std::unique_ptr<cluster_transport> transport = cluster_transport::start_plain(system);
  caf::actor door;
  std::uint16_t port = 0;
};

std::string text_of(std::size_t size, std::size_t seed) {
  std::string text(size, ' ');
  for (std::size_t i = 0; i < size; ++i)
    text[i] = static_cast<char>('a' + (i * 31 + seed) % 26);
  return text;
}

// Sends all at once, and has them come back in order.
void check_echoes(link_node& from, const caf::actor& gate, const std::vector<std::size_t>& sizes) {
  caf::scoped_actor self{from.system};
  for (std::size_t i = 0; i < sizes.size(); ++i)
    self->send(gate, text_of(sizes[i], i));
  for (std::size_t i = 0; i < sizes.size(); ++i)
    self->receive([&](const std::string& same) { CHECK((same == text_of(sizes[i], i))); },
                  caf::after(60s) >> [&] { FAIL("echo " << i << " did not come"); });
}

std::vector<std::size_t> many_sizes() {
  std::vector<std::size_t> sizes;
  for (std::size_t i = 0; i < 500; ++i)
    sizes.push_back(i * 7 % 1000 + 1);
  // Around what is read at once, and more than sockets' buffers hold.
  for (const std::size_t size : {65'000u, 65'536u, 66'000u, 131'072u, 1'000'000u, 9'000'000u})
    sizes.push_back(size);
  sizes.push_back(1);
  return sizes;
}

} // namespace

TEST_CASE("messages over a link arrive whole and in order", "[links]") {
  link_node a, b;
  check_echoes(a, a.reach(b.port), many_sizes());
}

TEST_CASE("a link puts together what the network cut up", "[links]") {
  link_node a, b;
  const std::size_t piece = GENERATE(1u, 7u, 37u);
  slicer between{b.port, piece};
  check_echoes(a, a.reach(between.port()), {1, 10, 100, 5'000, 1, 2});
}

TEST_CASE("actors of both ends share a link", "[links]") {
  link_node a, b;
  const auto there = a.reach(b.port);
  std::vector<std::thread> threads;
  for (int n = 0; n < 4; ++n)
    threads.emplace_back([&] {
      caf::scoped_actor self{a.system};
      for (std::uint64_t i = 0; i < 200; ++i)
        self->request(there, 20s, i)
            .receive(
                [&](std::uint64_t twice) {
                  if (twice != 2 * i) std::abort();
                },
                [&](const caf::error&) { std::abort(); });
    });
  for (auto& each : threads)
    each.join();
}

TEST_CASE("more connections at once than a door lets in in a turn all get a handshake", "[links]") {
  link_node a;
  // The loop rests, so that they all wait when it looks.
  std::promise<void> go_on;
  std::promise<void> rests;
  link_multiplexer::of(a.system).loop().post([&] {
    rests.set_value();
    go_on.get_future().wait();
  });
  rests.get_future().wait();
  std::vector<int> sockets;
  for (int i = 0; i < 150; ++i) {
    const auto connected = connect_tcp("127.0.0.1", a.port, 20s);
    REQUIRE(connected.has_value());
    sockets.push_back(*connected);
  }
  go_on.set_value();
  for (const int socket : sockets) {
    ::fcntl(socket, F_SETFL, 0);
    const timeval patience{20, 0};
    ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    char byte = 0;
    CHECK(::recv(socket, &byte, 1, 0) == 1);
    ::close(socket);
  }
}

TEST_CASE("who speaks nonsense is disconnected, and others are not", "[links]") {
  link_node a, b;
  const auto there = a.reach(b.port);
  const auto connected = connect_tcp("127.0.0.1", b.port, 20s);
  REQUIRE(connected.has_value());
  ::fcntl(*connected, F_SETFL, 0);
  const std::string nonsense(200'000, 'x');
  (void)::send(*connected, nonsense.data(), nonsense.size(), MSG_NOSIGNAL);
  std::array<char, 4096> got{};
  while (::recv(*connected, got.data(), got.size(), 0) > 0) {
  }
  ::close(*connected);
  check_echoes(a, there, {1, 2, 3});
}

TEST_CASE("a peer that reads nothing holds up no other", "[links]") {
  link_node a, b, deaf;
  const auto there = a.reach(b.port);
  const auto not_there = a.reach(deaf.port);
  std::promise<void> go_on;
  link_multiplexer::of(deaf.system).loop().post([&] { go_on.get_future().wait(); });
  for (int i = 0; i < 20; ++i)
    caf::anon_send(not_there, text_of(1'000'000, 0));
  check_echoes(a, there, {1, 100'000, 2});
  go_on.set_value();
}

TEST_CASE("a link to a peer that reads nothing is lost when too much waits", "[links]") {
  link_node a, b, deaf;
  link_multiplexer::of(a.system).limit_unsent_bytes(40'000'000); // half of it alone
  const auto there = a.reach(b.port);
  const auto not_there = a.reach(deaf.port);
  std::promise<void> go_on;
  link_multiplexer::of(deaf.system).loop().post([&] { go_on.get_future().wait(); });
  caf::scoped_actor self{a.system};
  self->monitor(not_there);
  for (int i = 0; i < 60; ++i)
    caf::anon_send(not_there, text_of(1'000'000, 0));
  self->receive([&](const caf::down_msg& update) { CHECK(update.source == not_there.address()); },
                caf::after(60s) >> [&] { FAIL("the link holds"); });
  check_echoes(a, there, {1, 100'000, 2});
  go_on.set_value();
}

TEST_CASE("who announces a message that is too long is cut off before it comes", "[links]") {
  link_node a, b;
  link_multiplexer::of(b.system).limit_message_bytes(100'000);
  const auto there = a.reach(b.port);
  check_echoes(a, there, {10'000});
  caf::scoped_actor self{a.system};
  self->monitor(there);
  self->send(there, text_of(200'000, 0));
  self->receive([&](const caf::down_msg& update) { CHECK(update.source == there.address()); },
                caf::after(60s) >> [&] { FAIL("the link holds"); });
  // While the other end has not noticed that the first is gone, it takes a second for one that
  // crosses it, and closes it. A peer link would connect again, too.
  bool came = false;
  for (int i = 0; i < 20 && !came; ++i) {
    self->send(a.reach(b.port), text_of(10'000, 0));
    self->receive([&](const std::string&) { came = true; }, caf::after(3s) >> [] {});
  }
  CHECK(came);
}

TEST_CASE("beyond so many connections a door closes further ones at once", "[links]") {
  link_node a, b;
  link_multiplexer::of(b.system).limit_connections(1);
  const auto there = a.reach(b.port);
  asio::io_context io;
  tcp::socket stranger{io};
  stranger.connect({asio::ip::address_v4::loopback(), b.port});
  char byte = 0;
  boost::system::error_code ended;
  asio::read(stranger, asio::buffer(&byte, 1), ended);
  CHECK(ended);
  check_echoes(a, there, {1, 100'000, 2});
}

TEST_CASE("links share what may wait for peers: two that take nothing get a third each",
          "[links]") {
  link_node a{10min}, deaf, dumb; // on a slow machine this takes longer than a second
  link_multiplexer::of(a.system).limit_unsent_bytes(60'000'000);
  const auto first = a.reach(deaf.port), second = a.reach(dumb.port);
  std::promise<void> go_on;
  const auto wait = go_on.get_future().share();
  for (auto* one : {&deaf, &dumb})
    link_multiplexer::of(one->system).loop().post([wait] { wait.wait(); });
  caf::scoped_actor self{a.system};
  self->monitor(first);
  self->monitor(second);
  for (int i = 0; i < 15; ++i) // a quarter
    caf::anon_send(second, text_of(1'000'000, 0));
  for (int i = 0; i < 60; ++i)
    caf::anon_send(first, text_of(1'000'000, 0));
  self->receive([&](const caf::down_msg& update) { CHECK(update.source == first.address()); },
                caf::after(60s) >> [&] { FAIL("the link holds"); });
  CHECK(link_multiplexer::of(a.system).unsent_bytes() <= 60'000'000);
  // The other one would be told of first, had it been cut.
  go_on.set_value();
}

TEST_CASE("what is posted to a loop runs on its thread, in order, also while it sleeps",
          "[links]") {
  link_node a;
  auto& loop = link_multiplexer::of(a.system).loop();
  for (int round = 0; round < 50; ++round) {
    std::vector<int> seen;
    std::promise<bool> done;
    for (int i = 0; i < 3; ++i)
      loop.post([&seen, i] { seen.push_back(i); });
    loop.post([&] { done.set_value(event_loop::current() == &loop); });
    CHECK(done.get_future().get());
    CHECK(seen == std::vector{0, 1, 2});
  }
}

// CAF 0.17 reads a handshake's payload whether it has one or not, which ended the process; and
// takes memory for whatever length it is told.
TEST_CASE("what no peer says ends its link and nothing else", "[links]") {
  link_node a, b;
  std::string empty_handshake(32, '\0'), large_handshake(32, '\0');
  empty_handshake[0] = large_handshake[0] = 1;
  large_handshake.replace(4, 4, "\xff\xff\xff\xff");
  for (const auto& sent : {empty_handshake, large_handshake, std::string(32, 'x')}) {
    asio::io_context io;
    tcp::socket stranger{io};
    stranger.connect({asio::ip::address_v4::loopback(), a.port});
    asio::write(stranger, asio::buffer(sent));
    boost::system::error_code ended;
    std::array<char, 1024> greeting;
    while (!ended)
      stranger.read_some(asio::buffer(greeting), ended);
    CHECK((ended == asio::error::eof || ended == asio::error::connection_reset));
  }
  check_echoes(b, b.reach(a.port), {1, 1'000});
}
