// Links between actor systems over loopback. Real sockets and so real time: each wait is for a
// condition, up to a deadline that only a fault reaches.
#include "actors/base/lifecycle_messages.hpp"
#include "actors/base/wall_clock.hpp"
#include "actors/cluster/cluster_settings.hpp"
#include "actors/cluster/handshake_acceptor.hpp"
#include "actors/cluster/link_messages.hpp"
#include "actors/cluster/peer_connector.hpp"
#include "actors/limiter/limiter.hpp"
#include "actors/limits/limit_messages.hpp"
#include "actors/system_config.hpp"
#include "tests/unit/actors/stand_in.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace penstock;
using namespace std::chrono_literals;

namespace {

constexpr std::chrono::seconds deadline{20};

// Two actor systems over real sockets know no virtual time, and what is waited for here is told by
// counters alone: a condition with a deadline.
bool eventually(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (std::chrono::steady_clock::now() < end) {
    if (condition()) return true;
    std::this_thread::sleep_for(2ms);
  }
  return condition();
}

// A socket bound to a port that was free, so that nobody else gets it; closed by its owner. When it
// listens, it has room for as many attempts as there can be in a test: a further one hangs in the
// kernel for two minutes.
struct bound_socket {
  explicit bound_socket(bool listening) : fd(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof address;
    REQUIRE(::bind(fd, generic, size) == 0);
    if (listening) REQUIRE(::listen(fd, SOMAXCONN) == 0);
    REQUIRE(::getsockname(fd, generic, &size) == 0);
    port = ntohs(address.sin_port);
  }
  bound_socket(const bound_socket&) = delete;
  bound_socket& operator=(const bound_socket&) = delete;
  ~bound_socket() { ::close(fd); }

  int fd;
  std::uint16_t port = 0;
};

std::string loopback(std::uint16_t port) {
  return "127.0.0.1:" + std::to_string(port);
}

// What a front end has heard, readable from the test's thread.
struct heard {
  std::mutex mutex;
  int ups = 0;
  int downs = 0;
  std::uint16_t member = 99;
  bool has_accounts = false;
  bool has_replicas = false;
  std::string address;
  std::vector<limiter_handle> limiters;

  template <class Read>
  auto read(Read what) {
    const std::lock_guard hold{mutex};
    return what(*this);
  }
};

caf::behavior listener(caf::event_based_actor* self, std::shared_ptr<heard> all) {
  return {
      [all](const peer_up& peer) {
        const std::lock_guard hold{all->mutex};
        ++all->ups;
        all->member = peer.member;
        all->limiters = peer.limiters;
        all->has_accounts = peer.accounts == peer.limiters.at(0);
        all->has_replicas = peer.replicas == peer.limiters.at(0);
        all->address = peer.address;
      },
      [all](const peer_down& peer) {
        const std::lock_guard hold{all->mutex};
        ++all->downs;
        all->member = peer.member;
        all->limiters.clear();
      },
      [self](drain) { self->quit(); },
  };
}

// Stands in for a probe over the network: all but one port can be reached, and one does not answer
// while it is silent.
std::atomic<std::uint16_t> unreachable_port{0};
std::atomic<std::uint16_t> silent_port{0};

result<void> reach(const std::string&, std::uint16_t port, std::chrono::milliseconds) {
  if (port == silent_port) silent_port.wait(port);
  if (port == unreachable_port) return error{errc::unavailable, "connection timed out"};
  return {};
}

// With connections of CAF's own; those of a node are tested beside it, in tests/unit/net.
class caf_links_config : public system_config {
 public:
  explicit caf_links_config(std::size_t threads) : system_config(threads) {
    load<caf::io::middleman>();
    set_links();
  }
};

// A node as far as its peers see it. Leaving its scope ends it, and its connections with it.
class test_node {
 public:
  // Listens on `port`, or on any when it is 0 and no peers need to know it.
  test_node(std::string cluster, std::uint16_t port, std::vector<std::string> peers,
            std::uint32_t max_wire_version = wire_version, std::string secret_check = "ours")
      : system(config) {
    const plan rules{
        "ten",
        {{.name = "ten", .kind = algorithm::calendar, .amount = 10, .unit = calendar_unit::month}}};
    deciding = plain_actor(
        system.spawn(limiter, limiter_parts{std::make_shared<limit_ledger>(
                                                std::make_shared<const std::vector<plan>>(1, rules),
                                                1000, std::make_shared<limit_labels>()),
                                            wall_clock{},
                                            std::make_shared<limiter_metrics>(),
                                            {}}));
    cluster_settings settings;
    settings.name = cluster;
    settings.listen = loopback(port);
    settings.peers = peers;
    settings.reconnect_interval_ms = 20ms;
    settings.max_wire_version = max_wire_version;
    settings.secret_check = secret_check;
    std::vector<std::string> members = std::move(peers);
    members.push_back(settings.listen);
    std::ranges::sort(members);
    welcome here;
    here.limiters = {deciding};
    here.accounts = deciding;
    here.replicas = deciding;
    here.version = max_wire_version;
    here.secret_check = secret_check;
    door = plain_actor(system.spawn(handshake_acceptor, cluster, members, here,
                                    std::make_shared<handshake_metrics>()));
    listening = publish_handshake_acceptor(stand_in(door), settings.listen,
                                           system.middleman().actor_handle());
    front_end = system.spawn(listener, update);
    links = plain_actor(system.spawn(
        peer_connector, settings, members, std::vector<peer_listener_handle>{stand_in(front_end)},
        reach_peer{reach}, metrics, system.middleman().actor_handle()));
  }

  ~test_node() {
    for (const caf::actor& each : {links, front_end, door, deciding})
      caf::anon_send(each, drain{});
    update->read([](heard& all) { all.limiters.clear(); });
  }

  bool is_up() const {
    return update->read([](heard& all) { return !all.limiters.empty(); });
  }

  std::shared_ptr<link_metrics> metrics = std::make_shared<link_metrics>();
  std::shared_ptr<heard> update = std::make_shared<heard>();
  caf_links_config config{2};
  caf::actor_system system;
  caf::actor deciding, door, front_end, links;
  result<std::uint16_t> listening = std::uint16_t{0};
};

std::uint16_t free_port() {
  return bound_socket{false}.port;
}

std::optional<verdict> ask(test_node& from, const limiter_handle& deciding, std::uint64_t client,
                           std::uint32_t cost) {
  std::optional<verdict> answer;
  caf::scoped_actor self{from.system};
  self->request(deciding, deadline,
                admit_request{1, {{.client = client, .plan = plan_id("ten"), .events = cost}}, {}})
      .receive([&](const admit_reply& reply) { answer = reply.verdicts.at(0); },
               [](const caf::error&) {});
  return answer;
}

limiter_handle remote_limiter(const test_node& node) {
  return node.update->read([](heard& all) { return all.limiters.at(0); });
}

} // namespace

TEST_CASE("nodes link up, decide over the wire, notice a loss and link again", "[peer_link]") {
  const std::uint16_t first = free_port();
  const std::uint16_t second = free_port();
  test_node a("dev", first, {loopback(second)});
  REQUIRE(a.listening.has_value());
  {
    test_node b("dev", second, {loopback(first)});
    REQUIRE(b.listening.has_value());
    REQUIRE(eventually([&] { return a.is_up() && b.is_up(); }));
    CHECK(a.metrics->links_up.value() == 1);
    CHECK(a.update->read([](heard& all) { return all.has_accounts; }));
    CHECK(a.metrics->reconnects.value() == 0);
    // The member is the index in the sorted list.
    const std::uint16_t expected = loopback(first) < loopback(second) ? 1 : 0;
    CHECK(a.update->read([](heard& all) { return all.member; }) == expected);
    CHECK(b.update->read([](heard& all) { return all.member; }) == 1 - expected);

    // Seven of ten over the wire and one at home leave two.
    const auto over_wire = ask(a, remote_limiter(a), 42, 7);
    REQUIRE(over_wire);
    CHECK(over_wire->granted == 7);
    const auto at_home = ask(b, stand_in(b.deciding), 42, 1);
    REQUIRE(at_home);
    CHECK(at_home->remaining == 2);
  }
  REQUIRE(eventually([&] { return !a.is_up(); }));
  CHECK(a.update->read([](heard& all) { return all.downs; }) == 1);
  REQUIRE(eventually([&] { return a.metrics->links_up.value() == 0; }));
  REQUIRE(eventually([&] { return a.metrics->failed_attempts.value() >= 3; }));

  test_node b("dev", second, {loopback(first)});
  REQUIRE(b.listening.has_value());
  REQUIRE(eventually([&] { return a.is_up() && b.is_up(); }));
  CHECK(a.metrics->reconnects.value() == 1);
  CHECK(a.update->read([](heard& all) { return all.ups; }) == 2);
  const auto again = ask(a, remote_limiter(a), 42, 1);
  REQUIRE(again);
  CHECK(again->granted == 1);
}

TEST_CASE("two wire versions side by side, whoever connects", "[peer_link][wire]") {
  const std::uint16_t first = free_port();
  const std::uint16_t second = free_port();
  const auto versions = GENERATE(std::pair{5u, 5u}, std::pair{5u, 4u}, std::pair{4u, 4u});
  test_node a("dev", first, {loopback(second)}, versions.first);
  test_node b("dev", second, {loopback(first)}, versions.second);
  REQUIRE(eventually([&] { return a.is_up() && b.is_up(); }));
  // What came with version 5 is there only if both speak it, and all else is.
  for (auto* node : {&a, &b}) {
    CHECK(node->update->read([](heard& all) { return all.has_replicas; }) ==
          (versions.second == 5));
    CHECK(node->update->read([](heard& all) { return all.has_accounts; }));
    CHECK(node->metrics->refusals.value() == 0);
  }
  CHECK(a.update->read([](heard& all) { return all.address; }) == loopback(second));
  const auto over_wire = ask(a, remote_limiter(a), 42, 7);
  REQUIRE(over_wire);
  CHECK(over_wire->granted == 7);
}

TEST_CASE("a node of another cluster is refused and never up", "[peer_link]") {
  const std::uint16_t first = free_port();
  const std::uint16_t second = free_port();
  test_node a("dev", first, {loopback(second)});
  test_node b("prod", second, {loopback(first)});
  REQUIRE(eventually(
      [&] { return a.metrics->refusals.value() == 1 && b.metrics->refusals.value() == 1; }));
  CHECK_FALSE(a.is_up());
  CHECK_FALSE(b.is_up());
  CHECK(a.update->read([](heard& all) { return all.ups; }) == 0);
}

TEST_CASE("a node with another secret is refused and never up", "[peer_link]") {
  const std::uint16_t first = free_port();
  const std::uint16_t second = free_port();
  test_node a("dev", first, {loopback(second)});
  test_node b("dev", second, {loopback(first)}, wire_version, "theirs");
  REQUIRE(eventually(
      [&] { return a.metrics->refusals.value() >= 1 && b.metrics->refusals.value() >= 1; }));
  CHECK(a.update->read([](heard& all) { return all.ups; }) == 0);
  CHECK(b.update->read([](heard& all) { return all.ups; }) == 0);
}

TEST_CASE("a node of before there was a secret to check is linked", "[peer_link][wire]") {
  const std::uint16_t first = free_port();
  const std::uint16_t second = free_port();
  test_node a("dev", first, {loopback(second)});
  test_node b("dev", second, {loopback(first)}, secret_wire_version - 1, "theirs");
  CHECK(eventually([&] { return a.is_up() && b.is_up(); }));
}

TEST_CASE("a peer that accepts but never speaks holds up no other link", "[peer_link]") {
  const bound_socket silent(true);
  const std::uint16_t first = free_port();
  const std::uint16_t second = free_port();
  test_node a("dev", first, {loopback(silent.port), loopback(second)});
  test_node b("dev", second, {loopback(first), loopback(silent.port)});
  REQUIRE(eventually([&] { return a.is_up() && b.is_up(); }));
  // It keeps being tried.
  const std::uint64_t attempts = a.metrics->failed_attempts.value();
  CHECK(eventually([&] { return a.metrics->failed_attempts.value() > attempts; }));
}

TEST_CASE("a host that drops packets silently holds up no other link", "[peer_link]") {
  const bound_socket silent(true);
  silent_port = silent.port;
  const std::uint16_t first = free_port();
  const std::uint16_t second = free_port();
  test_node a("dev", first, {loopback(silent.port), loopback(second)});
  test_node b("dev", second, {loopback(silent.port), loopback(first)});
  CHECK(eventually([&] { return a.is_up() && b.is_up(); }));
  silent_port = 0;
  silent_port.notify_all();
}

TEST_CASE("the middleman is not asked to connect to a host that can't be reached", "[peer_link]") {
  const bound_socket listening(true);
  unreachable_port = listening.port;
  const std::uint16_t first = free_port();
  const std::uint16_t second = free_port();
  {
    test_node a("dev", first, {loopback(listening.port), loopback(second)});
    test_node b("dev", second, {loopback(first)});
    REQUIRE(eventually([&] { return a.is_up() && a.metrics->failed_attempts.value() >= 3; }));
  }
  unreachable_port = 0;
  // Nobody knocked, though the port would have answered.
  CHECK(::fcntl(listening.fd, F_SETFL, O_NONBLOCK) == 0);
  CHECK(::accept(listening.fd, nullptr, nullptr) == -1);
  CHECK(errno == EAGAIN);
}

TEST_CASE("who sorts second lets the other connect first, also when it comes back", "[peer_link]") {
  using clock = std::chrono::steady_clock;
  std::atomic<int> probes = 0;
  caf_links_config config{2};
  caf::actor_system system{config};
  cluster_settings settings;
  settings.listen = "127.0.0.1:2";
  settings.reconnect_interval_ms = 120s; // it is not what ends a wait here
  auto began = clock::now();
  const auto links = system.spawn(
      peer_connector, settings, std::vector<std::string>{"127.0.0.1:1", settings.listen},
      std::vector<peer_listener_handle>{},
      [&](const std::string&, std::uint16_t, std::chrono::milliseconds) -> result<void> {
        ++probes;
        return error{errc::unavailable, "nobody is there"};
      },
      std::make_shared<link_metrics>(), caf::io::middleman_actor{});
  CHECK(eventually([&] { return probes == 1; }));
  CHECK(clock::now() - began >= head_start);
  caf::scoped_actor self{system};
  for (int round = 2; round < 4; ++round) {
    began = clock::now();
    for (const char* peer : {"", "127.0.0.1:1"}) {
      placement places;
      places.members = {peer, settings.listen};
      self->send(links, placement_changed{std::make_shared<const placement>(places)});
    }
    CHECK(eventually([&] { return probes == round; }));
    CHECK(clock::now() - began >= head_start);
  }
  self->send(links, drain{});
  self->wait_for(links);
}

TEST_CASE("a port in use is an error that names it", "[peer_link]") {
  const bound_socket taken(true);
  test_node a("dev", taken.port, {});
  REQUIRE(a.listening.has_error());
  CHECK(a.listening.error().code == errc::unavailable);
  CHECK(a.listening.error().message.find(loopback(taken.port)) != std::string::npos);
}
