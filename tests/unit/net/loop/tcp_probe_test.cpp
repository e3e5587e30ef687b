#include "net/loop/tcp_probe.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <atomic>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <poll.h>
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

// With its backlog full, the kernel drops what comes next, as a firewall would.
struct overrun : listening {
  overrun() : listening(0) {
    for (int i = 0; i < 4; ++i) {
      fillers.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
      (void)::connect(fillers.back(), reinterpret_cast<sockaddr*>(&address), sizeof address);
    }
  }
  ~overrun() { relax(); }
  void relax() {
    for (const auto filler : std::exchange(fillers, {}))
      ::close(filler);
  }
  void accept_one(int within_ms) const {
    pollfd ready{fd, POLLIN, 0};
    if (::poll(&ready, 1, within_ms) == 1) ::close(::accept(fd, nullptr, nullptr));
  }
  /// Connections to it whose first packet was sent and not answered.
  std::size_t unanswered() const {
    constexpr const char* sent_first = "02"; // TCP_SYN_SENT
    std::ifstream all("/proc/net/tcp");
    std::size_t count = 0;
    std::string line, field, local, remote, state;
    while (std::getline(all, line)) {
      std::istringstream(line) >> field >> local >> remote >> state;
      count +=
          state == sent_first && remote.substr(remote.find(':') + 1) == fmt::format("{:04X}", port);
    }
    return count;
  }
  std::vector<int> fillers;
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
  const overrun there;
  const auto silent = probe_tcp("127.0.0.1", there.port, 50ms);
  REQUIRE(silent.has_error());
  CHECK(silent.error().message == "Connection timed out");
}

TEST_CASE("a lost first packet does not cost a second", "[tcp_probe]") {
  overrun there;
  const std::size_t dropped = there.unanswered();
  std::atomic<bool> done = false;
  std::thread accepts{[&] {
    while (there.unanswered() <= dropped && !done)
      std::this_thread::yield();
    there.relax();
    while (!done)
      there.accept_one(20);
  }};
  // The kernel's own second try is after 1 s.
  const auto reached = connect_tcp("127.0.0.1", there.port, 990ms);
  done = true;
  accepts.join();
  REQUIRE(reached.has_value());
  ::close(*reached);
}
