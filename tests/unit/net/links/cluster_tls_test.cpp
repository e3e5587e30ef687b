// Mutual TLS between nodes: the files, the handshake over a socket pair, and links between actor
// systems over loopback.
#include "actors/base/lifecycle_messages.hpp"
#include "actors/cluster/peer_connector.hpp"
#include "net/links/cluster_tls.hpp"
#include "net/links/link_multiplexer.hpp"
#include "net/links/tls_handshakes.hpp"
#include "net/links/tls_session.hpp"
#include "net/loop/tcp_probe.hpp"
#include "tests/unit/actors/stand_in.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace penstock;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

// Certificates that scripts/certs makes; the test program runs in the project's directory.
class certificates {
 public:
  certificates() {
    std::string pattern = (std::filesystem::temp_directory_path() / "penstock-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
    make("365", "ours a b");
    make("-1", "ours expired");
    make("365", "theirs stranger");
  }
  ~certificates() { std::filesystem::remove_all(path_); }
  certificates(const certificates&) = delete;
  certificates& operator=(const certificates&) = delete;

  std::string file(const std::string& name) const { return (path_ / name).string(); }
  tls_files of(const std::string& name, const std::string& folder = "ours") const {
    return {file(folder + "/" + name + ".pem"), file(folder + "/" + name + ".key"),
            file(folder + "/ca.pem")};
  }

 private:
  void make(const std::string& days, const std::string& what) const {
    const auto command =
        "PENSTOCK_CERTS_DAYS=" + days + " scripts/certs " + file(what) + " >/dev/null 2>&1";
    REQUIRE(std::system(command.c_str()) == 0);
  }
  std::filesystem::path path_;
};

const certificates& issued() {
  std::signal(SIGPIPE, SIG_IGN); // as a node does
  static const certificates all;
  return all;
}

// Both ends of a connection, in one thread.
struct meeting {
  meeting(const tls_files& connecting, const tls_files& accepting)
      : client(*load_tls_context(connecting), ends[0], false),
        server(*load_tls_context(accepting), ends[1], true) {}
  ~meeting() {
    ::close(ends[0]);
    ::close(ends[1]);
  }

  // Until neither can go on.
  void run() {
    for (int i = 0; i < 20; ++i) {
      if (at_client != tls_step::done && at_client != tls_step::failed) at_client = client.open();
      if (at_server != tls_step::done && at_server != tls_step::failed) at_server = server.open();
    }
  }

  struct pair {
    pair() { REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds.data()) == 0); }
    std::array<int, 2> fds{};
    int operator[](std::size_t i) const { return fds.at(i); }
  } ends;
  tls_session client, server;
  tls_step at_client = tls_step::wants_write, at_server = tls_step::wants_read;
};

std::string fault_of(const tls_files& files) {
  const auto made = load_tls_context(files);
  return made ? "" : made.error().message;
}

} // namespace

TEST_CASE("files that cannot serve are named with their key and the fix", "[tls]") {
  const auto& all = issued();
  auto files = all.of("a");
  CHECK(fault_of(files).empty());
  files.cert = all.file("nowhere.pem");
  CHECK(fault_of(files) == "cluster.tls_cert: " + files.cert +
                               ": cannot be read: No such file or directory; correct the path, or "
                               "let the user that runs the node read it");
  files = all.of("a");
  files.ca = all.file("ours");
  CHECK_THAT(fault_of(files), Contains("cluster.tls_ca: ") && Contains("cannot be read"));
  std::ofstream{all.file("nonsense")} << "nonsense\n";
  std::ofstream{all.file("empty")};
  files = all.of("a");
  files.cert = all.file("nonsense");
  CHECK_THAT(fault_of(files), Contains("tls_cert") && Contains("holds no certificate"));
  files = all.of("a");
  files.key = all.file("nonsense");
  CHECK_THAT(fault_of(files), Contains("tls_key") && Contains("PEM without a passphrase"));
  files.key = all.file("empty");
  CHECK_THAT(fault_of(files), Contains("tls_key") && Contains("it is empty"));
  files.key = all.of("b").key;
  CHECK_THAT(fault_of(files), Contains("tls_key") && Contains("is not the key of the certificate"));
  files = all.of("a");
  files.ca = files.key;
  CHECK_THAT(fault_of(files), Contains("tls_ca") && Contains("no certificate of an authority"));
  // With a passphrase, which nobody is asked for.
  const auto locked = all.file("locked.key");
  REQUIRE(std::system(("openssl pkey -aes256 -passout pass:x -in " + all.of("a").key + " -out " +
                       locked + " 2>/dev/null")
                          .c_str()) == 0);
  files = all.of("a");
  files.key = locked;
  CHECK_THAT(fault_of(files), Contains("tls_key") && Contains("without a passphrase"));
}

TEST_CASE("a node is told of its own certificate that peers will refuse", "[tls]") {
  const auto& all = issued();
  CHECK(own_certificate_fault(*load_tls_context(all.of("a"))).empty());
  CHECK(own_certificate_fault(*load_tls_context(all.of("expired"))) == "certificate has expired");
  auto files = all.of("a");
  files.ca = all.of("stranger", "theirs").ca;
  CHECK_THAT(own_certificate_fault(*load_tls_context(files)), Contains("issuer"));
}

TEST_CASE("two nodes of one authority open a session, and bytes go both ways", "[tls]") {
  meeting met{issued().of("a"), issued().of("b")};
  met.run();
  REQUIRE(met.at_client == tls_step::done);
  REQUIRE(met.at_server == tls_step::done);
  std::size_t count = 0;
  CHECK(met.server.write("hello", 5, count) == tls_step::done);
  CHECK(count == 5);
  char got[16];
  CHECK(met.client.read(got, 3, count) == tls_step::done);
  CHECK(std::string(got, count) == "hel");
  CHECK(met.client.has_pending());
  CHECK(met.client.read(got, 16, count) == tls_step::done);
  CHECK(std::string(got, count) == "lo");
  CHECK(met.client.read(got, 16, count) == tls_step::wants_read);
  CHECK(met.client.write("back", 4, count) == tls_step::done);
  CHECK(met.server.read(got, 16, count) == tls_step::done);
  ::shutdown(met.ends[0], SHUT_RDWR);
  CHECK(met.server.read(got, 16, count) == tls_step::failed);
  CHECK_FALSE(met.server.fault().refusal);
}

TEST_CASE("whom the other does not accept learns why, on either side", "[tls]") {
  const auto& all = issued();
  const auto expired = all.of("expired"), ours = all.of("a"),
             stranger = all.of("stranger", "theirs");
  for (const bool connecting : {true, false}) {
    CAPTURE(connecting);
    {
      meeting met{connecting ? expired : ours, connecting ? ours : expired};
      met.run();
      auto& refused = connecting ? met.client : met.server;
      auto& refusing = connecting ? met.server : met.client;
      CHECK(met.at_client == tls_step::failed);
      CHECK(met.at_server == tls_step::failed);
      CHECK(refusing.fault().what == "its certificate is not accepted: certificate has expired");
      CHECK(refused.fault().what ==
            "it does not accept this node's certificate: certificate expired");
      CHECK(refused.fault().refusal);
      CHECK(refusing.fault().refusal);
    }
    meeting met{connecting ? stranger : ours, connecting ? ours : stranger};
    met.run();
    CHECK(met.at_client == tls_step::failed);
    CHECK(met.at_server == tls_step::failed);
    CHECK(met.client.fault().what ==
          "its certificate is not accepted: unable to get local issuer certificate");
    CHECK(met.server.fault().what == "it does not accept this node's certificate: unknown CA");
  }
}

TEST_CASE("a peer that does not speak TLS is told apart", "[tls]") {
  meeting met{issued().of("a"), issued().of("b")};
  CHECK(met.server.open() == tls_step::wants_read);
  CHECK_FALSE(met.server.heard());
  const std::string noise(100, 'x');
  REQUIRE(::write(met.ends[0], noise.data(), noise.size()) == 100);
  CHECK(met.server.open() == tls_step::failed);
  CHECK(met.server.heard());
  CHECK(met.server.fault().refusal);
  CHECK_THAT(met.server.fault().what, Contains("what it says is not TLS"));
  // What went wrong there does not touch another connection of the thread.
  meeting next{issued().of("a"), issued().of("b")};
  next.run();
  CHECK(next.at_client == tls_step::done);
}

namespace {

// An actor system with a gate that doubles numbers and gives texts back, behind TLS.
struct tls_node {
  explicit tls_node(const tls_files& files) {
    door = system.spawn([](caf::event_based_actor* self) -> caf::behavior {
      return {[](std::uint64_t number) { return 2 * number; },
              [](const std::string& text) { return text; }, [self](drain) { self->quit(); }};
    });
    auto started = cluster_tls::start(system, files, metrics);
    REQUIRE(started.has_value());
    tls = std::move(*started);
    const auto published =
        publish_handshake_acceptor(stand_in(door), "127.0.0.1:0", tls->middleman());
    REQUIRE(published.has_value());
    port = *published;
  }
  ~tls_node() { caf::anon_send(door, drain{}); }

  // The other's gate, or why there is none.
  caf::expected<caf::actor> reach(std::uint16_t other) {
    caf::expected<caf::actor> found{caf::sec::none};
    caf::scoped_actor self{system};
    self->request(tls->middleman(), caf::infinite, caf::connect_atom_v, std::string{"127.0.0.1"},
                  other)
        .receive([&](const caf::node_id&, const caf::strong_actor_ptr& gate,
                     const std::set<std::string>&) { found = caf::actor_cast<caf::actor>(gate); },
                 [&](const caf::error& why) { found = why; });
    return found;
  }

  linked_system_config config{1};
  caf::actor_system system{config};
  std::shared_ptr<handshake_metrics> metrics = std::make_shared<handshake_metrics>();
  std::unique_ptr<cluster_tls> tls;
  caf::actor door;
  std::uint16_t port = 0;
};

} // namespace

TEST_CASE("actors talk over TLS, small and large", "[tls]") {
  tls_node a{issued().of("a")}, b{issued().of("b")};
  const auto gate = a.reach(b.port);
  REQUIRE(gate);
  caf::scoped_actor self{a.system};
  for (std::uint64_t i = 0; i < 200; ++i)
    self->request(*gate, 20s, i)
        .receive([&](std::uint64_t twice) { CHECK(twice == 2 * i); },
                 [&](const caf::error& why) { FAIL(a.system.render(why)); });
  // More than socket buffers hold, and of all sizes around a TLS record's.
  for (const std::size_t size : {1u, 16'300u, 16'384u, 16'400u, 100'000u, 8'000'000u}) {
    std::string text(size, 'x');
    text.front() = 'a';
    text.back() = 'z';
    self->request(*gate, 60s, text)
        .receive([&](const std::string& same) { CHECK((same == text)); },
                 [&](const caf::error& why) { FAIL(a.system.render(why)); });
  }
  CHECK(b.metrics->tls.value() == 0);
}

TEST_CASE("a refusal comes out of a connect as one, and a silent peer ends it", "[tls]") {
  tls_node a{issued().of("a")}, stranger{issued().of("stranger", "theirs")};
  const auto gate = a.reach(stranger.port);
  REQUIRE_FALSE(gate);
  CHECK(gate.error().category() == transport_category);
  CHECK_THAT(gate.error().context().get_as<std::string>(0), Contains("is not accepted"));

  const int silent = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(::bind(silent, reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(::listen(silent, 8) == 0);
  REQUIRE(::getsockname(silent, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  const auto nobody = a.reach(ntohs(address.sin_port));
  REQUIRE_FALSE(nobody);
  CHECK(nobody.error() == caf::sec::connection_timeout);
  ::close(silent);
}

TEST_CASE("who makes room for more handshakes is counted, however fast they come", "[tls]") {
  const auto metrics = std::make_shared<handshake_metrics>();
  tls_handshakes handshakes{std::make_shared<tls_contexts>(*load_tls_context(issued().of("a"))),
                            metrics};
  std::array<meeting::pair, 3 * max_handshakes> silent;
  for (const auto& ends : silent)
    handshakes.begin(ends[1], nullptr);
  const auto too_many = silent.size() - max_handshakes;
  const auto deadline = std::chrono::steady_clock::now() + handshake_timeout;
  while (metrics->tls.value() < too_many && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(1ms);
  CHECK(metrics->tls.value() == too_many);
  for (const auto& ends : silent)
    ::close(ends[0]);
}

TEST_CASE("a node ends while strangers hang on its port", "[tls]") {
  int socket = -1;
  {
    tls_node a{issued().of("a")};
    const auto connected = connect_tcp("127.0.0.1", a.port, 20s);
    REQUIRE(connected.has_value());
    socket = *connected;
  }
  ::fcntl(socket, F_SETFL, 0);
  char byte = 0;
  CHECK(::recv(socket, &byte, 1, 0) <= 0);
  ::close(socket);
}
