// Listening sockets for the front ends.
#pragma once

#include "storage/base/result.hpp"

#include <cstdint>
#include <string>

namespace penstock {

/// An open file descriptor that closes itself; give() hands it on.
class listening_socket {
 public:
  listening_socket() = default;
  explicit listening_socket(int fd) : fd_(fd) {}
  listening_socket(listening_socket&& other) noexcept : fd_(other.give()) {}
  listening_socket& operator=(listening_socket&& other) noexcept;
  ~listening_socket();
  int give();
  std::uint16_t port() const;

 private:
  int fd_ = -1;
};

/// errc::unavailable when another process listens there. To be asked first, since SO_REUSEPORT
/// would let two nodes of one user share a port without either noticing.
result<void> require_free(const std::string& host, std::uint16_t port);

/// Non-blocking, with SO_REUSEPORT, so that each front end has a queue of its own that the kernel
/// spreads connections over. `host` is an IP address; port 0 takes any that is free. Errors:
/// errc::unavailable, naming the address and the cause.
result<listening_socket> open_listener(const std::string& host, std::uint16_t port);

} // namespace penstock
