#include "net/tcp_probe.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <unistd.h>

namespace penstock {

result<int> connect_tcp(const std::string& host, std::uint16_t port,
                        std::chrono::milliseconds timeout) {
  using boost::asio::ip::tcp;
  boost::asio::io_context io;
  boost::system::error_code outcome;
  const auto found = tcp::resolver{io}.resolve(host, std::to_string(port), outcome);
  if (outcome) return error{errc::unavailable, outcome.message()};
  tcp::socket socket{io};
  outcome = boost::asio::error::timed_out;
  boost::asio::async_connect(
      socket, found,
      [&](const boost::system::error_code& ec, const tcp::endpoint&) { outcome = ec; });
  io.run_for(timeout);
  if (outcome) return error{errc::unavailable, outcome.message()};
  socket.native_non_blocking(true, outcome);
  return socket.release();
}

result<void> probe_tcp(const std::string& host, std::uint16_t port,
                       std::chrono::milliseconds timeout) {
  const auto socket = connect_tcp(host, port, timeout);
  if (!socket) return socket.error();
  ::close(*socket);
  return {};
}

} // namespace penstock
