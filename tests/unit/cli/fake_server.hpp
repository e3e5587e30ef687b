// A tiny HTTP server for tests of the command line's client: a thread on a free port that answers
// with a function.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace penstock::test {

struct fake_request {
  std::string target;
  std::string body;
  std::string authorization;
  std::string method{};
  std::vector<std::pair<std::string, std::string>> fields{}; ///< the header, as it came

  std::string field(std::string_view name) const {
    for (const auto& [key, value] : fields)
      if (boost::beast::iequals(key, name)) return value;
    return {};
  }
};

struct fake_answer {
  unsigned status = 200;
  std::string body;
  bool close = false; ///< hang up after the answer
};

class fake_server {
 public:
  using handler = std::function<fake_answer(const fake_request&)>;

  explicit fake_server(handler handle)
      : acceptor_(loop_, {boost::asio::ip::make_address("127.0.0.1"), 0}),
        thread_([this, handle = std::move(handle)] { serve(handle); }) {}

  // One connection at a time is served; a last one of our own wakes the acceptor.
  ~fake_server() {
    stopping_ = true;
    boost::asio::io_context loop;
    boost::asio::ip::tcp::socket waker{loop};
    boost::system::error_code ignored;
    waker.connect(acceptor_.local_endpoint(), ignored);
    thread_.join();
  }

  std::string url() const {
    return "http://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port());
  }
  std::vector<fake_request> requests() const {
    const std::lock_guard lock{mutex_};
    return requests_;
  }
  int connections() const { return connections_; }
  /// Connections that this end has closed.
  int ended() const { return ended_; }

 private:
  void serve(const handler& handle) {
    while (!stopping_) {
      boost::system::error_code failed;
      boost::asio::ip::tcp::socket socket{loop_};
      acceptor_.accept(socket, failed);
      if (failed || stopping_) continue;
      ++connections_;
      converse(socket, handle);
      socket.close(failed);
      ++ended_;
    }
  }

  void converse(boost::asio::ip::tcp::socket& socket, const handler& handle) {
    namespace http = boost::beast::http;
    boost::system::error_code failed;
    boost::beast::flat_buffer buffer;
    while (!failed) {
      http::request<http::string_body> request;
      http::read(socket, buffer, request, failed);
      if (failed) return;
      fake_request seen{std::string{request.target()}, request.body(),
                        std::string{request[http::field::authorization]},
                        std::string{request.method_string()}};
      for (const auto& field : request)
        seen.fields.emplace_back(field.name_string(), field.value());
      {
        const std::lock_guard lock{mutex_};
        requests_.push_back(seen);
      }
      const auto answer = handle(seen);
      http::response<http::string_body> response{static_cast<http::status>(answer.status), 11,
                                                 answer.body};
      response.prepare_payload(); // none for 204
      http::write(socket, response, failed);
      if (answer.close) return;
    }
  }

  boost::asio::io_context loop_;
  boost::asio::ip::tcp::acceptor acceptor_;
  mutable std::mutex mutex_;
  std::vector<fake_request> requests_;
  std::atomic<int> connections_{0};
  std::atomic<int> ended_{0};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

} // namespace penstock::test
