#include "net/admin/admin_server.hpp"

#include "net/admin/admin_http.hpp"
#include "net/admin/admin_routes.hpp"
#include "net/admin/gatekeeper.hpp"
#include "net/base/byte_bound.hpp"
#include "net/http/chunked_body.hpp"
#include "net/http/client_watch.hpp"
#include "net/http/request.hpp"
#include "net/http/request_target.hpp"
#include "storage/stores/api_key.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <thread>
#include <unordered_map>

namespace penstock {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::awaitable;
using tcp = asio::ip::tcp;
using code = boost::system::error_code;

ip_address address_of(const asio::ip::address& from) {
  if (from.is_v6()) return ip_address::from_v6(from.to_v6().to_bytes().data());
  ip_address out;
  const auto bytes = from.to_v4().to_bytes();
  std::copy(bytes.begin(), bytes.end(), out.bytes.begin());
  return out;
}

std::string_view view(const beast::flat_buffer& buffer) {
  return {static_cast<const char*>(buffer.cdata().data()), buffer.size()};
}

std::string_view view(beast::string_view text) {
  return {text.data(), text.size()};
}

auto into(code& failed) {
  return asio::redirect_error(asio::use_awaitable, failed);
}

constexpr const char* full_of_bodies =
    "the bodies of other requests take all the memory there is for them";
constexpr const char* full_of_answers =
    "answers that their clients have not read take all the memory there is for them";

admin_answer busy(std::string detail) {
  return answer_of(problem{.status = 503, .detail = std::move(detail)});
}

/// What one request keeps of the bounds that all share.
struct room {
  byte_bound::part body;
  byte_bound::part promise; ///< of what the queue may give; no answer is refused for it
  byte_bound::part answer;
};

struct connection {
  admin_places::id who;
  beast::tcp_stream stream;
  ip_address local;
  beast::flat_buffer buffer{max_admin_header_bytes + (8u << 10)};
};

class server final : public admin_server {
 public:
  server(admin_parts parts, tcp::acceptor acceptor, std::unique_ptr<asio::io_context> io)
      : places_{{.strangers = parts.settings.max_strangers,
                 .operators = parts.settings.max_operators,
                 .consumers = parts.settings.max_consumers}},
        consumer_bodies_{parts.settings.max_bodies_bytes / 2},
        operator_bodies_{parts.settings.max_bodies_bytes / 2},
        promises_{parts.settings.max_answers_bytes / 2},
        consumer_answers_{parts.settings.max_answers_bytes / 2},
        operator_answers_{parts.settings.max_answers_bytes / 2}, io_{std::move(io)},
        acceptor_{std::move(acceptor)}, port_{acceptor_.local_endpoint().port()},
        token_{parts.settings.token}, gatekeeper_{parts.settings.hosts}, actors_{parts.sys, *io_},
        context_{actors_,
                 parts.queue,
                 parts.accounts,
                 parts.node,
                 parts.metrics,
                 token_,
                 parts.usage,
                 parts.cluster_usage,
                 parts.usage_rebuilder,
                 parts.usage_rebuild} {
    context_.dead_letters = parts.dead_letters;
    context_.replays = parts.replays;
    context_.drain = std::move(parts.drain);
    context_.begin_drain = std::move(parts.begin_drain);
    context_.port = port_;
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
  using head_parser = http::request_parser<http::empty_body>;

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
      const auto came = places_.arrive();
      if (came.goes) evict(*came.goes);
      asio::co_spawn(*io_, serve(came.who, std::move(socket)), asio::detached);
    }
  }

  /// Closes a connection that is not counted any more; what it waits for ends with an error.
  void evict(admin_places::id who) {
    if (const auto found = streams_.find(who); found != streams_.end()) found->second->close();
  }

  /// Answers a connection's requests, one after the other.
  awaitable<void> serve(admin_places::id who, tcp::socket socket) {
    code ignored;
    const auto local = socket.local_endpoint(ignored);
    connection c{who, beast::tcp_stream{std::move(socket)}, address_of(local.address())};
    if (!places_.has(who)) co_return; // it had to go before this began
    streams_.emplace(who, &c.stream);
    const auto leave = [this, who](void*) {
      streams_.erase(who);
      places_.leave(who);
    };
    const std::unique_ptr<connection, decltype(leave)> leaves{&c, leave};
    while (co_await serve_one(c)) {
      places_.idle(who);
      if (c.buffer.size() == 0) c.buffer.shrink_to_fit();
    }
    c.stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
  }

  /// False when the connection is over.
  awaitable<bool> serve_one(connection& c) {
    head_parser parser;
    parser.header_limit(max_admin_header_bytes);
    parser.body_limit(boost::none); // the route's is looked at below
    code failed;
    c.stream.expires_after(places_.is_stranger(c.who) ? admin_stranger_timeout
                                                      : admin_idle_timeout);
    co_await read_head(c, parser, failed);
    c.stream.expires_never();
    const head_of_request head{parser};
    if (failed) co_return co_await give_up(c, head, failed);
    if (const auto wrong = refuses_framing(head.header)) {
      co_return co_await end(c, head, answer_of(*wrong));
    }
    const std::string target{view(head.header.target())};
    auto request = request_of(head, target);
    auto admitted = admit(c, head, request);
    if (!admitted.route) co_return co_await refuse(c, head, std::move(admitted.refusal));
    const auto& rules = admitted.route->rules;
    const bool consumes = rules.kind == admin_kind::consumers;
    room kept{byte_bound::part{consumes ? consumer_bodies_ : operator_bodies_},
              byte_bound::part{promises_},
              byte_bound::part{consumes ? consumer_answers_ : operator_answers_}};
    if (auto full = keep_room(c, head, rules, request, kept))
      co_return co_await refuse(c, head, std::move(*full));
    std::string body;
    if (head.has_body) {
      const bool fits = co_await read_body(c, head, rules.max_body_bytes, body,
                                           rules.vital ? nullptr : &kept.body, failed);
      if (failed) co_return co_await give_up(c, head, failed);
      if (!fits) co_return co_await end(c, head, busy(full_of_bodies));
    }
    request.body = body;
    auto answer = co_await run(c, *admitted.route, request);
    kept.body.resize(0);
    kept.promise.resize(0);
    count(answer, rules, kept.answer);
    co_return co_await write(c, head, std::move(answer), head.keep_alive);
  }

  static admin_request request_of(const head_of_request& head, std::string_view target) {
    const auto parts = split_target(target);
    admin_request request;
    request.method = head.header.method();
    request.path = parts.path;
    request.query = parts.query;
    request.authorization = view(head.header[http::field::authorization]);
    request.cookie = view(head.header[http::field::cookie]);
    request.tls = came_by_tls(head.header);
    return request;
  }

  /// All that can be said from the header, in this order: whom it names and which page made it,
  /// its token, its type and size.
  admin_admission admit(const connection& c, const head_of_request& head, admin_request& request) {
    if (const auto wrong = gatekeeper_.refuses(head.header, c.local))
      return {nullptr, answer_of(*wrong)};
    auto admitted = admit_admin(context_, request);
    if (!admitted.route) return admitted;
    const auto& rules = admitted.route->rules;
    if (const auto wrong = refuses_type(head.header, head.has_body, rules.form))
      return {nullptr, answer_of(*wrong)};
    if (head.length.value_or(0) > rules.max_body_bytes) return {nullptr, too_large()};
    return admitted;
  }

  static admin_answer too_large() {
    return answer_of(problem{.status = 413, .detail = "the body is too large for this"});
  }

  /// A place and the bytes that the request will need, or the answer when there are none.
  std::optional<admin_answer> keep_room(const connection& c, const head_of_request& head,
                                        const admin_rules& rules, admin_request& request,
                                        room& kept) {
    if (!request.trusted || rules.kind == admin_kind::stranger) {
      places_.busy(c.who);
    } else {
      const auto seat = places_.take(c.who, rules.kind);
      if (seat.goes) evict(*seat.goes);
      if (!seat.given && !rules.vital)
        return busy(rules.kind == admin_kind::consumers
                        ? "as many consumers as may be connected have requests under way"
                        : "as many operators as may be connected have requests under way");
    }
    // A body that does not say its size is counted as it comes.
    const auto body_bytes = head.has_body ? head.length.value_or(0) : 0;
    if (rules.vital)
      kept.body.force(body_bytes);
    else if (!kept.body.resize(body_bytes))
      return busy(full_of_bodies);
    if (rules.sized) {
      // Who comes first may have much, so that one consumer alone is quick; some is left for all.
      const auto left = std::min(promises_.room(), consumer_answers_.room());
      kept.promise.resize(std::min<std::uint64_t>(max_receive_bytes, left / 8));
      request.max_answer_bytes = own_answer_bytes + kept.promise.bytes();
    } else if (rules.answer_bytes > 0 && !kept.answer.resize(rules.answer_bytes)) {
      return busy(full_of_answers);
    }
    return std::nullopt;
  }

  static awaitable<void> read_more(connection& c, code& failed) {
    constexpr std::size_t most = 4096;
    const auto room = c.buffer.max_size() - c.buffer.size();
    const auto got =
        co_await c.stream.async_read_some(c.buffer.prepare(std::min(most, room)), into(failed));
    c.buffer.commit(got);
  }

  static awaitable<void> read_head(connection& c, head_parser& parser, code& failed) {
    while (!failed && !parser.is_header_done()) {
      c.buffer.consume(take_head(parser, view(c.buffer), failed));
      if (!failed && !parser.is_header_done()) co_await read_more(c, failed);
    }
  }

  /// False when there is no room for a body of unknown size. `bytes`: null counts nothing.
  awaitable<bool> read_body(connection& c, const head_of_request& head, std::size_t max_bytes,
                            std::string& body, byte_bound::part* bytes, code& failed) {
    c.stream.expires_after(places_.is_stranger(c.who) ? admin_stranger_timeout
                                                      : admin_body_timeout);
    if (head.waits_to_send) {
      http::response<http::empty_body> go_on{http::status::continue_, head.header.version()};
      co_await http::async_write(c.stream, go_on, into(failed));
    }
    bool fits = true;
    chunked_body chunks{{max_bytes, max_admin_header_bytes, max_header_fields}};
    for (; !failed; co_await read_more(c, failed)) {
      const auto left = head.length.value_or(body.size()) - body.size();
      const auto here = view(c.buffer).substr(0, head.length ? left : std::string_view::npos);
      if (head.length) body += here;
      c.buffer.consume(head.length ? here.size() : chunks.put(here, body, failed));
      fits = head.length || !bytes || bytes->resize(body.capacity());
      if (failed || !fits || (head.length ? body.size() == *head.length : chunks.is_done())) break;
    }
    c.stream.expires_never();
    co_return fits;
  }

  awaitable<admin_answer> run(connection& c, const admin_route& route, admin_request& request) {
    const auto watch = std::make_shared<client_watch>();
    request.on_gone = &watch->gone;
    // What is in the buffer already is the next request: its client is there.
    if (route.rules.waits && c.buffer.size() == 0)
      c.stream.socket().async_wait(
          tcp::socket::wait_read, [watch, socket = c.stream.socket().native_handle()](code failed) {
            if (!failed && !watch->over) watch->look(socket);
          });
    admin_answer answer;
    try {
      answer = co_await route.run(context_, request);
    } catch (const std::exception& e) {
      // The path may hold a key that was sent in place of its id.
      spdlog::error("admin plane: {} failed: {}", hide_keys(request.path), e.what());
      answer = answer_of(problem{.status = 500, .detail = "an error of ours; see the node's log"});
    }
    watch->over = true;
    code ignored;
    if (route.rules.waits) c.stream.socket().cancel(ignored);
    co_return answer;
  }

  /// Keeps the bound on answers: one that is past it is told again later, but for those that
  /// operators need most; then a client that does not read goes instead.
  void count(admin_answer& answer, const admin_rules& rules, byte_bound::part& bytes) {
    const auto beyond = answer.body.size() - std::min(answer.body.size(), own_answer_bytes);
    if (bytes.resize(beyond)) return;
    if (rules.vital) {
      if (const auto slow = places_.longest_unread()) {
        places_.leave(*slow);
        evict(*slow);
      }
      bytes.force(beyond);
      return;
    }
    if (answer.undelivered) answer.undelivered();
    bytes.resize(0);
    answer = busy(full_of_answers);
  }

  awaitable<bool> give_up(connection& c, const head_of_request& head, code why) {
    if (const auto what = unreadable(why)) co_return co_await end(c, head, answer_of(*what));
    co_return false;
  }

  /// The last answer of a connection on which more may be on its way.
  awaitable<bool> end(connection& c, const head_of_request& head, admin_answer answer) {
    co_await write(c, head, std::move(answer), false);
    co_await linger(c, boost::none);
    co_return false;
  }

  /// Answers a request whose body was not read, and goes on if that is small.
  awaitable<bool> refuse(connection& c, const head_of_request& head, admin_answer answer) {
    const bool skips = !head.has_body || (head.length && *head.length <= max_admin_skipped_bytes &&
                                          !head.waits_to_send);
    const bool more = co_await write(c, head, std::move(answer), head.keep_alive && skips);
    if (!head.has_body) co_return more;
    if (more) co_return co_await skip_body(c, head.length);
    co_await linger(c, head.length);
    co_return false;
  }

  /// Throws away what still comes: a client may read its answer only when it has written, and would
  /// find the connection broken.
  awaitable<void> linger(connection& c, boost::optional<std::uint64_t> length) {
    code failed;
    c.stream.socket().shutdown(tcp::socket::shutdown_send, failed);
    if (failed) co_return;
    places_.idle(c.who);
    co_await skip_body(c, length);
  }

  /// True when all of the body came.
  awaitable<bool> skip_body(connection& c, boost::optional<std::uint64_t> length) {
    std::uint64_t left = length.value_or(std::numeric_limits<std::uint64_t>::max());
    const auto here = std::min<std::uint64_t>(left, c.buffer.size());
    c.buffer.consume(here);
    left -= here;
    std::array<char, 8192> scratch;
    c.stream.expires_after(admin_linger);
    code failed;
    while (left > 0 && !failed) {
      const auto wanted = std::min<std::uint64_t>(left, scratch.size());
      left -= co_await c.stream.async_read_some(asio::buffer(scratch.data(), wanted), into(failed));
    }
    c.stream.expires_never();
    co_return left == 0;
  }

  awaitable<bool> write(connection& c, const head_of_request& head, admin_answer answer,
                        bool keep_alive) {
    const auto undelivered = std::move(answer.undelivered);
    const auto version = head.header.version();
    places_.writing(c.who);
    code failed;
    c.stream.expires_after(admin_write_timeout);
    if (head.is_head()) {
      http::response<http::empty_body> response{header_of(answer)};
      response.version(version);
      response.keep_alive(keep_alive);
      response.content_length(answer.body.size());
      co_await http::async_write(c.stream, response, into(failed));
    } else {
      http::response<http::string_body> response{header_of(answer)};
      response.version(version);
      response.keep_alive(keep_alive);
      response.body() = std::move(answer.body);
      response.prepare_payload();
      co_await http::async_write(c.stream, response, into(failed));
    }
    c.stream.expires_never();
    if (failed && undelivered) undelivered();
    co_return !failed && keep_alive;
  }

  // Before io_: connections still open end with it.
  admin_places places_;
  std::unordered_map<admin_places::id, beast::tcp_stream*> streams_;
  byte_bound consumer_bodies_; // apart, so that no consumers refuse an operator
  byte_bound operator_bodies_;
  byte_bound promises_;
  byte_bound consumer_answers_;
  byte_bound operator_answers_;
  std::unique_ptr<asio::io_context> io_;
  tcp::acceptor acceptor_;
  std::uint16_t port_;
  bearer_token token_;
  admin_gatekeeper gatekeeper_;
  asker actors_;
  admin_context context_;
  std::thread thread_;
};

} // namespace

result<std::unique_ptr<admin_server>> admin_server::start(admin_parts parts) {
  const auto where = admin_endpoint(parts.settings.listen);
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
