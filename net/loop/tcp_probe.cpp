#include "net/loop/tcp_probe.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include <unistd.h>

namespace penstock {

result<int> connect_tcp(const std::string& host, std::uint16_t port,
                        std::chrono::milliseconds timeout) {
  using boost::asio::ip::tcp;
  boost::asio::io_context io;
  boost::system::error_code outcome;
  const auto found = tcp::resolver{io}.resolve(host, std::to_string(port), outcome);
  if (outcome) return error{errc::unavailable, outcome.message()};
  outcome = boost::asio::error::timed_out;
  tcp::socket first{io}, second{io};
  tcp::socket* connected = nullptr;
  const auto attempt = [&](tcp::socket& socket) {
    boost::asio::async_connect(socket, found,
                               [&](const boost::system::error_code& ec, const tcp::endpoint&) {
                                 outcome = ec;
                                 if (!ec) connected = &socket;
                                 io.stop();
                               });
  };
  attempt(first);
  boost::asio::steady_timer patience{io, second_attempt_after};
  patience.async_wait([&](const boost::system::error_code&) { attempt(second); });
  io.run_for(timeout);
  if (!connected) return error{errc::unavailable, outcome.message()};
  connected->native_non_blocking(true, outcome);
  return connected->release();
}

result<void> probe_tcp(const std::string& host, std::uint16_t port,
                       std::chrono::milliseconds timeout) {
  const auto socket = connect_tcp(host, port, timeout);
  if (!socket) return socket.error();
  ::close(*socket);
  return {};
}

} // namespace penstock
