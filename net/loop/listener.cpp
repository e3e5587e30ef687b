#include "net/loop/listener.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace penstock {

namespace {

constexpr int backlog = 4096;

error cannot_listen(const std::string& host, std::uint16_t port) {
  return {errc::unavailable, "can't listen on " + host + " port " + std::to_string(port) + ": " +
                                 std::generic_category().message(errno)};
}

// Fills `address` and gives its size; 0 if `host` is no IP address.
socklen_t to_sockaddr(const std::string& host, std::uint16_t port, sockaddr_storage& address) {
  auto& v4 = reinterpret_cast<sockaddr_in&>(address);
  if (inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    return sizeof v4;
  }
  auto& v6 = reinterpret_cast<sockaddr_in6&>(address);
  if (inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) != 1) return 0;
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  return sizeof v6;
}

} // namespace

listening_socket& listening_socket::operator=(listening_socket&& other) noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = other.give();
  return *this;
}

listening_socket::~listening_socket() {
  if (fd_ >= 0) ::close(fd_);
}

int listening_socket::give() {
  return std::exchange(fd_, -1);
}

std::uint16_t listening_socket::port() const {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(address).sin6_port
                                             : reinterpret_cast<sockaddr_in&>(address).sin_port);
}

namespace {

// Bound, not listening yet.
result<int> bind_socket(const std::string& host, std::uint16_t port, bool shared) {
  sockaddr_storage address{};
  auto size = to_sockaddr(host, port, address);
  if (size == 0) return error{errc::config, "\"" + host + "\" is not an IP address"};
  auto fd = ::socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return cannot_listen(host, port);
  int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (shared) ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0) return fd;
  auto why = cannot_listen(host, port);
  ::close(fd);
  return why;
}

} // namespace

result<void> require_free(const std::string& host, std::uint16_t port) {
  auto fd = bind_socket(host, port, false);
  if (!fd) return fd.error();
  ::close(*fd);
  return {};
}

result<listening_socket> open_listener(const std::string& host, std::uint16_t port) {
  auto fd = bind_socket(host, port, true);
  if (!fd) return fd.error();
  listening_socket result{*fd};
  if (::listen(*fd, backlog) != 0) return cannot_listen(host, port);
  return result;
}

} // namespace penstock
