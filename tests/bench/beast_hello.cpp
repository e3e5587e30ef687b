// What the HTTP side costs with plain Boost.Beast: async_read and async_write on one io_context a
// thread, every thread with a listener of its own, 202 to everything. For scripts/bench only.
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>
#include <vector>

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using reuse_port = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;

class session : public std::enable_shared_from_this<session> {
 public:
  explicit session(tcp::socket socket) : socket_(std::move(socket)) {}

  void read() {
    request_ = {};
    http::async_read(socket_, buffer_, request_,
                     [self = shared_from_this()](beast::error_code ec, std::size_t) {
                       if (!ec) self->write();
                     });
  }

 private:
  void write() {
    response_ = {};
    response_.version(request_.version());
    response_.result(http::status::accepted);
    response_.set(http::field::content_type, "application/json");
    response_.keep_alive(request_.keep_alive());
    response_.body() = R"({"id":"0000000000000001-aaaaaaaa"})";
    response_.prepare_payload();
    http::async_write(socket_, response_,
                      [self = shared_from_this()](beast::error_code ec, std::size_t) {
                        if (!ec && self->response_.keep_alive()) self->read();
                      });
  }

  tcp::socket socket_;
  beast::flat_buffer buffer_{1u << 20};
  http::request<http::string_body> request_;
  http::response<http::string_body> response_;
};

class listener {
 public:
  listener(asio::io_context& io, const tcp::endpoint& endpoint) : acceptor_(io) {
    acceptor_.open(endpoint.protocol());
    acceptor_.set_option(tcp::acceptor::reuse_address(true));
    acceptor_.set_option(reuse_port(true));
    acceptor_.bind(endpoint);
    acceptor_.listen();
    accept();
  }

 private:
  void accept() {
    acceptor_.async_accept([this](beast::error_code ec, tcp::socket socket) {
      if (ec) return;
      beast::error_code ignored;
      socket.set_option(tcp::no_delay(true), ignored);
      std::make_shared<session>(std::move(socket))->read();
      accept();
    });
  }

  tcp::acceptor acceptor_;
};

} // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: bench_beast_hello PORT THREADS\n");
    return 64;
  }
  tcp::endpoint endpoint(asio::ip::address_v4::loopback(), std::uint16_t(std::atoi(argv[1])));
  int count = std::atoi(argv[2]);
  std::vector<std::unique_ptr<asio::io_context>> contexts;
  std::vector<std::unique_ptr<listener>> listeners;
  for (int i = 0; i < count; ++i) {
    contexts.push_back(std::make_unique<asio::io_context>(1));
    listeners.push_back(std::make_unique<listener>(*contexts.back(), endpoint));
  }
  asio::signal_set signals(*contexts.front(), SIGTERM, SIGINT);
  signals.async_wait([&](beast::error_code, int) {
    for (auto& io : contexts)
      io->stop();
  });
  std::vector<std::thread> threads;
  for (auto& io : contexts)
    threads.emplace_back([&io] { io->run(); });
  for (std::thread& t : threads)
    t.join();
}
