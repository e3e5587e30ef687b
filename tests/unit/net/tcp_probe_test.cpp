#include "net/tcp_probe.hpp"

#include <catch2/catch.hpp>

#include <thread>
#include <vector>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace penstock;
using namespace std::chrono_literals;

namespace {

constexpr auto far_off = 20s; // reached only by a fault

// Listens on a free port of the loopback interface.
struct listening {
  explicit listening(int backlog) : fd(::socket(AF_INET, SOCK_STREAM, 0)) {
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof address;
    REQUIRE(::bind(fd, generic, size) == 0);
    REQUIRE(::listen(fd, backlog) == 0);
    REQUIRE(::getsockname(fd, generic, &size) == 0);
    port = ntohs(address.sin_port);
  }
  ~listening() {
    if (fd >= 0) ::close(fd);
  }
  int fd;
  sockaddr_in address{};
  std::uint16_t port = 0;
};

} // namespace

TEST_CASE("what listens is reached, what does not is not", "[tcp_probe]") {
  std::uint16_t port = 0;
  {
    listening there{8};
    port = there.port;
    CHECK(probe_tcp("127.0.0.1", port, far_off).has_value());
    CHECK(probe_tcp("localhost", port, far_off).has_value());
  }
  const auto gone = probe_tcp("127.0.0.1", port, far_off);
  REQUIRE(gone.has_error());
  CHECK(gone.error().code == errc::unavailable);
  CHECK(gone.error().message == "Connection refused");
  CHECK_FALSE(probe_tcp("no-such-host.invalid", port, far_off).has_value());
}

TEST_CASE("a host that answers nothing costs no more than the time limit", "[tcp_probe]") {
  listening there{0};
  // With its backlog full, the kernel drops what comes next, as a firewall would.
  std::vector<int> fillers;
  for (int i = 0; i < 4; ++i) {
    fillers.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    (void)::connect(fillers.back(), reinterpret_cast<sockaddr*>(&there.address),
                    sizeof there.address);
  }
  const auto silent = probe_tcp("127.0.0.1", there.port, 50ms);
  REQUIRE(silent.has_error());
  CHECK(silent.error().message == "Connection timed out");
  for (const auto fd : fillers)
    ::close(fd);
}

TEST_CASE("a lost first packet does not cost a second", "[tcp_probe]") {
  listening there{0};
  std::vector<int> fillers;
  for (int i = 0; i < 4; ++i) {
    fillers.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    (void)::connect(fillers.back(), reinterpret_cast<sockaddr*>(&there.address),
                    sizeof there.address);
  }
  // What it drops at first it takes from here on; the kernel's own second try is after 1 s.
  std::thread accepts{[&] {
    std::this_thread::sleep_for(100ms);
    for (const auto fd : fillers)
      ::close(fd);
    for (int i = 0; i < 2; ++i)
      ::close(::accept(there.fd, nullptr, nullptr));
  }};
  const auto reached = connect_tcp("127.0.0.1", there.port, 990ms);
  REQUIRE(reached.has_value());
  ::close(*reached);
  accepts.join();
}
