// A real nats-server for a test: on a free port of the loopback, with its data in a directory that
// goes away.
#pragma once

#include <arpa/inet.h>
#include <catch2/catch.hpp>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

namespace penstock::test {

class nats_process {
 public:
  explicit nats_process(std::vector<std::string> more = {}) : more_{std::move(more)} {
    std::string name = (std::filesystem::temp_directory_path() / "penstock-nats-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    data_ = name;
    port_ = free_port();
    start();
  }
  ~nats_process() {
    kill();
    forget();
  }
  nats_process(const nats_process&) = delete;
  nats_process& operator=(const nats_process&) = delete;

  std::string url() const { return "nats://127.0.0.1:" + std::to_string(port_); }

  /// Returns when it takes connections.
  void start() {
    std::vector<std::string> words{"nats-server", "-js",       "-sd", data_.string(),
                                   "-a",          "127.0.0.1", "-p",  std::to_string(port_)};
    words.insert(words.end(), more_.begin(), more_.end());
    std::vector<char*> arguments;
    for (auto& word : words)
      arguments.push_back(word.data());
    arguments.push_back(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (std::freopen("/dev/null", "w", stderr) == nullptr) _exit(126);
      execvp("nats-server", arguments.data());
      execv("/usr/sbin/nats-server", arguments.data());
      _exit(127);
    }
    REQUIRE(pid_ > 0);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{20};
    while (!answers()) {
      REQUIRE(waitpid(pid_, nullptr, WNOHANG) == 0);
      REQUIRE(std::chrono::steady_clock::now() < deadline);
      std::this_thread::sleep_for(std::chrono::milliseconds{5});
    }
  }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  /// Returns when it does nothing any more.
  void stop() {
    REQUIRE(::kill(pid_, SIGSTOP) == 0);
    REQUIRE(waitpid(pid_, nullptr, WUNTRACED) == pid_);
  }
  void go_on() { REQUIRE(::kill(pid_, SIGCONT) == 0); }
  /// Of a server that does not run: all its data.
  void forget() { std::filesystem::remove_all(data_); }

 private:
  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return at;
  }
  static std::uint16_t free_port() {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    auto at = loopback(0);
    socklen_t size = sizeof(at);
    REQUIRE(bind(fd, reinterpret_cast<sockaddr*>(&at), size) == 0);
    REQUIRE(getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size) == 0);
    close(fd);
    return ntohs(at.sin_port);
  }
  bool answers() const {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const auto at = loopback(port_);
    const bool connected = connect(fd, reinterpret_cast<const sockaddr*>(&at), sizeof(at)) == 0;
    close(fd);
    return connected;
  }

  std::vector<std::string> more_;
  std::filesystem::path data_;
  std::uint16_t port_ = 0;
  pid_t pid_ = -1;
};

} // namespace penstock::test
