#include "net/admin_server.hpp"

#include "net/admin_routes.hpp"
#include "net/chunk_extension.hpp"
#include "storage/api_key.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <spdlog/spdlog.h>

#include <charconv>
#include <optional>
#include <thread>

namespace penstock {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::awaitable;
using tcp = asio::ip::tcp;
using code = boost::system::error_code;

std::string_view view(beast::string_view text) {
  return {text.data(), text.size()};
}

auto into(code& failed) {
  return asio::redirect_error(asio::use_awaitable, failed);
}

result<tcp::endpoint> endpoint_of(const std::string& listen) {
  const error bad{errc::config, "admin.listen: '" + listen + "' is not an address and a port"};
  const auto colon = listen.rfind(':');
  if (colon == std::string::npos) return bad;
  auto host = listen.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  code failed;
  const auto address = asio::ip::make_address(host, failed);
  std::uint16_t port = 0;
  const auto* end = listen.data() + listen.size();
  const auto read = std::from_chars(listen.data() + colon + 1, end, port);
  if (failed || read.ec != std::errc{} || read.ptr != end) return bad;
  return tcp::endpoint{address, port};
}

/// The answer to a request that can't be read, or nothing when the client just went away.
std::optional<problem> problem_of(code failed) {
  if (failed == http::error::header_limit)
    return problem{.status = 431, .detail = "the header is too large for the admin plane"};
  if (failed == http::error::body_limit)
    return problem{.status = 413, .detail = "the body is too large for the admin plane"};
  if (failed.category() == make_error_code(http::error::bad_method).category() &&
      failed != http::error::end_of_stream && failed != http::error::partial_message)
    return problem{.status = 400, .detail = "this is not HTTP/1.1: " + failed.message()};
  return std::nullopt;
}

http::response<http::string_body> response_of(admin_answer answer, unsigned version,
                                              bool keep_alive) {
  http::response<http::string_body> out;
  out.version(version);
  out.result(answer.status);
  out.set(http::field::content_type, answer.content_type);
  out.set(http::field::cache_control, "no-store");
  out.set("X-Content-Type-Options", "nosniff");
  if (!answer.allow.empty()) out.set(http::field::allow, answer.allow);
  if (answer.status == 401) out.set(http::field::www_authenticate, "Bearer");
  if (answer.status == 503) out.set(http::field::retry_after, "1");
  out.keep_alive(keep_alive);
  out.body() = std::move(answer.body);
  out.prepare_payload();
  return out;
}

class server final : public admin_server {
 public:
  server(admin_parts parts, tcp::acceptor acceptor, std::unique_ptr<asio::io_context> io)
      : io_{std::move(io)}, acceptor_{std::move(acceptor)},
        port_{acceptor_.local_endpoint().port()}, token_{parts.settings.token}, actors_{parts.sys,
                                                                                        *io_},
        context_{actors_, parts.queue, parts.accounts,        parts.node,         parts.metrics,
                 token_,  parts.usage, parts.usage_rebuilder, parts.usage_rebuild} {
    context_.dead_letters = parts.dead_letters;
    context_.replays = parts.replays;
    context_.drain = std::move(parts.drain);
    context_.begin_drain = std::move(parts.begin_drain);
    asio::co_spawn(*io_, accept_all(), asio::detached);
    thread_ = std::thread{[this] { io_->run(); }};
    pthread_setname_np(thread_.native_handle(), "admin");
  }
  ~server() override {
    io_->stop();
    thread_.join();
  }
  std::uint16_t port() const override { return port_; }

 private:
  awaitable<void> accept_all() {
    for (;;) {
      code failed;
      auto socket = co_await acceptor_.async_accept(into(failed));
      if (failed) {
        // Out of descriptors, say: a pause lets others close theirs.
        asio::steady_timer pause{*io_, std::chrono::milliseconds{100}};
        co_await pause.async_wait(into(failed));
        continue;
      }
      if (connections_ >= max_admin_connections) continue; // closes it
      asio::co_spawn(*io_, serve(beast::tcp_stream{std::move(socket)}), asio::detached);
    }
  }

  /// Answers a connection's requests, one after the other.
  awaitable<void> serve(beast::tcp_stream stream) {
    ++connections_;
    beast::flat_buffer buffer{max_admin_header_bytes + (64u << 10)};
    bool more = true;
    while (more)
      more = co_await serve_one(stream, buffer);
    code ignored;
    stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
    --connections_;
  }

  /// False when the connection is over.
  awaitable<bool> serve_one(beast::tcp_stream& stream, beast::flat_buffer& buffer) {
    http::request_parser<http::string_body> parser;
    parser.header_limit(max_admin_header_bytes);
    parser.body_limit(max_admin_body_bytes);
    auto check_chunk = [](std::uint64_t, beast::string_view extension, code& wrong) {
      if (!is_chunk_extension(view(extension))) wrong = http::error::bad_chunk_extension;
    };
    parser.on_chunk_header(check_chunk);
    code failed;
    stream.expires_after(admin_idle_timeout);
    co_await http::async_read_header(stream, buffer, parser, into(failed));
    if (!failed) {
      stream.expires_after(admin_body_timeout);
      if (beast::iequals(parser.get()[http::field::expect], "100-continue")) {
        http::response<http::empty_body> go_on{http::status::continue_, parser.get().version()};
        co_await http::async_write(stream, go_on, into(failed));
      }
    }
    if (!failed) co_await http::async_read(stream, buffer, parser, into(failed));
    stream.expires_never();
    const auto& request = parser.get();
    if (failed) {
      const auto what = problem_of(failed);
      if (what) co_await write(stream, answer_of(*what), request.version(), false);
      co_return false;
    }
    auto answer = co_await answer_to(request);
    co_return co_await write(stream, std::move(answer), request.version(), request.keep_alive());
  }

  awaitable<admin_answer> answer_to(const http::request<http::string_body>& from) {
    // A web page elsewhere must not make a browser on this machine empty the queue.
    if (from["Sec-Fetch-Site"] == "cross-site")
      co_return answer_of(problem{.status = 403,
                                  .detail = "requests from other sites' pages are "
                                            "not answered"});
    const auto target = view(from.target());
    const auto query = std::min(target.find('?'), target.size());
    admin_request request;
    request.method = from.method();
    request.path = target.substr(0, query);
    request.query = target.substr(std::min(query + 1, target.size()));
    request.body = from.body();
    request.authorization = view(from[http::field::authorization]);
    try {
      co_return co_await route_admin(context_, request);
    } catch (const std::exception& e) {
      // The path may hold a key that was sent in place of its id.
      spdlog::error("admin plane: {} failed: {}", hide_keys(request.path), e.what());
    }
    co_return answer_of(problem{.status = 500, .detail = "an error of ours; see the node's log"});
  }

  awaitable<bool> write(beast::tcp_stream& stream, admin_answer answer, unsigned version,
                        bool keep_alive) {
    const auto undelivered = std::move(answer.undelivered);
    auto response = response_of(std::move(answer), version, keep_alive);
    code failed;
    stream.expires_after(admin_write_timeout);
    co_await http::async_write(stream, response, into(failed));
    stream.expires_never();
    if (failed && undelivered) undelivered();
    co_return !failed && keep_alive;
  }

  std::size_t connections_ = 0; // before io_: connections still open end with it
  std::unique_ptr<asio::io_context> io_;
  tcp::acceptor acceptor_;
  std::uint16_t port_;
  bearer_token token_;
  asker actors_;
  admin_context context_;
  std::thread thread_;
};

} // namespace

result<std::unique_ptr<admin_server>> admin_server::start(admin_parts parts) {
  const auto where = endpoint_of(parts.settings.listen);
  if (!where) return where.error();
  auto io = std::make_unique<asio::io_context>(1);
  tcp::acceptor acceptor{*io};
  code failed;
  acceptor.open(where->protocol(), failed);
  if (!failed) acceptor.set_option(asio::socket_base::reuse_address{true}, failed);
  if (!failed) acceptor.bind(*where, failed);
  if (!failed) acceptor.listen(asio::socket_base::max_listen_connections, failed);
  if (failed)
    return error{errc::unavailable, "admin.listen: can't listen on " + parts.settings.listen +
                                        ": " + failed.message()};
  return std::unique_ptr<admin_server>{
      std::make_unique<server>(std::move(parts), std::move(acceptor), std::move(io))};
}

} // namespace penstock
