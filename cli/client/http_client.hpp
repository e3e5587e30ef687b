// A small blocking HTTP client for the command line: one connection, one request at a time.
#pragma once

#include "storage/base/result.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/verb.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace penstock {

/// The largest answer that is read.
inline constexpr std::uint64_t max_response_bytes = 512ull << 20;

struct http_response {
  int status = 0;
  std::string body;
};

/// Where a server is: "http://127.0.0.1:8081", optionally with a "/" at the end.
struct server_url {
  std::string host; ///< name or address, without brackets
  std::string port;
  /// Errors: invalid, with what would do.
  static result<server_url> parse(std::string_view text);
  std::string text() const;
};

/// Keeps its connection open between requests and opens a new one when the server has closed it.
/// Not synchronised.
class http_client {
 public:
  /// `token`: for Authorization: Bearer; empty for none.
  http_client(server_url server, std::string token);

  result<http_response> get(const std::string& target, std::chrono::milliseconds timeout);
  /// Errors: unavailable, naming the server and the reason; `timeout` is for connecting and the
  /// answer together. A request that may have reached the server is never sent twice.
  result<http_response> request(boost::beast::http::verb verb, const std::string& target,
                                const std::string& json_body, std::chrono::milliseconds timeout);
  result<http_response> post(const std::string& target, const std::string& json_body,
                             std::chrono::milliseconds timeout) {
    return request(boost::beast::http::verb::post, target, json_body, timeout);
  }

 private:
  boost::system::error_code connect(std::chrono::milliseconds timeout);
  error failure(const boost::system::error_code& why) const;
  void run();

  const server_url server_;
  const std::string token_;
  boost::asio::io_context loop_{1};
  std::unique_ptr<boost::beast::tcp_stream> stream_;
  boost::beast::flat_buffer buffer_;
};

} // namespace penstock
