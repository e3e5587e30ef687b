#include "cli/client/http_client.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/http.hpp>

#include <charconv>

namespace penstock {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;

} // namespace

result<server_url> server_url::parse(std::string_view text) {
  constexpr std::string_view scheme = "http://";
  const error wrong{errc::invalid, "\"" + std::string{text} +
                                       "\" is not the address of an admin plane; write, for "
                                       "example, http://127.0.0.1:8081"};
  if (!text.starts_with(scheme)) return wrong;
  text.remove_prefix(scheme.size());
  if (text.ends_with('/')) text.remove_suffix(1);
  const auto bracket = text.rfind(']');
  const auto colon = text.rfind(':');
  const bool has_port = colon != text.npos && (bracket == text.npos || colon > bracket);
  auto host = text.substr(0, has_port ? colon : text.npos);
  const auto port = has_port ? text.substr(colon + 1) : "80";
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  std::uint16_t number = 0;
  const auto [end, bad] = std::from_chars(port.data(), port.data() + port.size(), number);
  const bool number_ok = bad == std::errc{} && end == port.data() + port.size() && number > 0;
  if (host.empty() || !number_ok || host.find_first_of("/?#@[] ") != host.npos) return wrong;
  return server_url{std::string{host}, std::string{port}};
}

std::string server_url::text() const {
  const bool v6 = host.find(':') != host.npos;
  return "http://" + (v6 ? "[" + host + "]" : host) + ":" + port;
}

http_client::http_client(server_url server, std::string token)
    : server_(std::move(server)), token_(std::move(token)) {}

// Asynchronous operations run to their end: unlike blocking ones they know timeouts, and a signal
// does not break them off.
void http_client::run() {
  loop_.restart();
  loop_.run();
}

error_code http_client::connect(std::chrono::milliseconds timeout) {
  buffer_.clear();
  stream_ = std::make_unique<beast::tcp_stream>(loop_);
  error_code failed;
  asio::ip::tcp::resolver resolver{loop_};
  const auto endpoints = resolver.resolve(server_.host, server_.port, failed);
  if (failed) return failed;
  stream_->expires_after(timeout);
  stream_->async_connect(endpoints, [&](error_code ec, const auto&) { failed = ec; });
  run();
  if (!failed) stream_->socket().set_option(asio::ip::tcp::no_delay{true}, failed);
  return failed;
}

error http_client::failure(const error_code& why) const {
  return {errc::unavailable,
          "the admin plane at " + server_.text() + " can't be reached: " +
              (why == beast::error::timeout ? "no answer in time" : why.message())};
}

result<http_response> http_client::get(const std::string& target,
                                       std::chrono::milliseconds timeout) {
  return request(http::verb::get, target, {}, timeout);
}

result<http_response> http_client::request(http::verb verb, const std::string& target,
                                           const std::string& json_body,
                                           std::chrono::milliseconds timeout) {
  http::request<http::string_body> request{verb, target, 11, json_body};
  request.set(http::field::host, server_.text().substr(std::string_view{"http://"}.size()));
  request.set(http::field::user_agent, "penstock/" PENSTOCK_VERSION);
  if (!json_body.empty()) request.set(http::field::content_type, "application/json");
  if (!token_.empty()) request.set(http::field::authorization, "Bearer " + token_);
  request.prepare_payload();

  // A kept connection may have been closed by the server meanwhile; then nothing of the request
  // was taken and a fresh connection is safe. What comes back at once from a dead one is an end
  // of file, so look for that before sending.
  if (stream_) {
    char byte = 0;
    error_code peeked;
    stream_->socket().non_blocking(true, peeked);
    stream_->socket().receive(asio::buffer(&byte, 1), asio::socket_base::message_peek, peeked);
    if (peeked != asio::error::would_block) stream_.reset();
  }
  if (!stream_)
    if (const auto failed = connect(timeout)) {
      stream_.reset();
      return failure(failed);
    }

  error_code failed;
  stream_->expires_after(timeout);
  http::async_write(*stream_, request, [&](error_code ec, std::size_t) { failed = ec; });
  run();
  http::response_parser<http::string_body> parser;
  parser.body_limit(max_response_bytes);
  if (!failed) {
    http::async_read(*stream_, buffer_, parser, [&](error_code ec, std::size_t) { failed = ec; });
    run();
  }
  if (failed) {
    stream_.reset();
    return failure(failed);
  }
  if (!parser.get().keep_alive()) stream_.reset();
  return http_response{static_cast<int>(parser.get().result_int()), std::move(parser.get().body())};
}

} // namespace penstock
