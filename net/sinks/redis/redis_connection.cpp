#include "net/sinks/redis/redis_connection.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <array>
#include <optional>

namespace penstock {

namespace asio = boost::asio;
using redis_socket = asio::ip::tcp::socket;
using redis_error_code = boost::system::error_code;

struct redis_tls {
  asio::ssl::context context{asio::ssl::context::tls_client};
};

struct redis_connection::state {
  redis_address address;
  std::shared_ptr<redis_tls> tls;
  std::shared_ptr<const std::atomic<bool>> stopped;
  asio::io_context io{1};
  asio::ip::tcp::resolver resolver{io};
  redis_socket socket{io};
  std::optional<asio::ssl::stream<redis_socket&>> secured;
  redis_reader reader;
  std::array<char, 32u << 10> input;

  void close();
  template <class Start>
  result<void> wait(time_point deadline, const char* what, Start start);
  result<void> handshake(time_point deadline);
  result<void> write(std::string_view bytes, time_point deadline);
  result<std::size_t> read(time_point deadline);
};

namespace {

error redis_unavailable(std::string why) {
  return {errc::unavailable, std::move(why)};
}

error redis_file_error(const char* field, const redis_error_code& why) {
  return {errc::config, std::string{field} + ": can't be used: " + why.message()};
}

std::string redis_words(const redis_error_code& why) {
  const bool ended = why == asio::error::eof || why == asio::ssl::error::stream_truncated;
  return ended ? "it closed the connection" : why.message();
}

/// What OpenSSL has against the server's certificate; "" if it has nothing.
std::string redis_certificate_fault(SSL* ssl) {
  const auto why = SSL_get_verify_result(ssl);
  if (why == X509_V_OK) return {};
  return std::string{"the server's certificate is not accepted: "} +
         X509_verify_cert_error_string(why) +
         "; ca_file must hold the authority that signed it, and url the name that it is for";
}

} // namespace

result<std::shared_ptr<redis_tls>> make_redis_tls(const sink_certificates& files) {
  auto out = std::make_shared<redis_tls>();
  auto& context = out->context;
  redis_error_code failed;
  context.set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 |
                          asio::ssl::context::no_tlsv1_1,
                      failed);
  context.set_verify_mode(asio::ssl::verify_peer, failed);
  if (files.ca_file.empty())
    context.set_default_verify_paths(failed);
  else
    context.load_verify_file(files.ca_file, failed);
  if (failed) return redis_file_error("ca_file", failed);
  if (files.cert_file.empty() != files.key_file.empty())
    return error{errc::config, "cert_file: needs key_file, and key_file needs it"};
  if (files.cert_file.empty()) return out;
  context.use_certificate_chain_file(files.cert_file, failed);
  if (failed) return redis_file_error("cert_file", failed);
  context.use_private_key_file(files.key_file, asio::ssl::context::pem, failed);
  if (failed) return redis_file_error("key_file", failed);
  return out;
}

/// Runs one operation, which calls what `start` is given once, with its error. On a deadline the
/// socket is closed, which ends it; only a look-up of a name can outlast that, and has nothing of
/// ours but `done`.
template <class Start>
result<void> redis_connection::state::wait(time_point deadline, const char* what, Start start) {
  auto done = std::make_shared<std::optional<redis_error_code>>();
  start([done](const redis_error_code& failed, const auto&...) { *done = failed; });
  const char* given_up = nullptr;
  while (!*done && !given_up) {
    const auto now = std::chrono::steady_clock::now();
    if (stopped->load(std::memory_order_relaxed))
      given_up = "stopped";
    else if (now >= deadline)
      given_up = "no answer in time";
    else {
      io.restart();
      io.run_one_until(std::min(deadline, now + stop_check_ms));
    }
  }
  if (*done && !**done) return {};
  std::string why = given_up ? given_up : redis_words(**done);
  if (secured && !given_up)
    if (auto fault = redis_certificate_fault(secured->native_handle()); !fault.empty())
      why = std::move(fault);
  close();
  return redis_unavailable(std::string{what} + ": " + why);
}

void redis_connection::state::close() {
  redis_error_code ignored;
  resolver.cancel();
  socket.close(ignored);
  io.restart();
  io.poll(); // what was under way ends now, while its buffers still live
  secured.reset();
}

result<void> redis_connection::state::handshake(time_point deadline) {
  secured.emplace(socket, tls->context);
  auto* ssl = secured->native_handle();
  redis_error_code is_name;
  asio::ip::make_address(address.host, is_name);
  if (is_name) SSL_set_tlsext_host_name(ssl, address.host.c_str());
  const int set = is_name
                      ? SSL_set1_host(ssl, address.host.c_str())
                      : X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), address.host.c_str());
  if (set != 1) return redis_unavailable("a certificate can't be for the host " + address.host);
  return wait(deadline, "TLS handshake failed", [&](auto done) {
    secured->async_handshake(asio::ssl::stream_base::client, std::move(done));
  });
}

result<void> redis_connection::state::write(std::string_view bytes, time_point deadline) {
  return wait(deadline, "sending failed", [&](auto done) {
    const auto buffer = asio::buffer(bytes.data(), bytes.size());
    if (secured)
      asio::async_write(*secured, buffer, std::move(done));
    else
      asio::async_write(socket, buffer, std::move(done));
  });
}

result<std::size_t> redis_connection::state::read(time_point deadline) {
  auto count = std::make_shared<std::size_t>(0);
  const auto got = wait(deadline, "reading its answer failed", [&](auto done) {
    auto counted = [count, done = std::move(done)](const redis_error_code& failed, std::size_t n) {
      *count = n;
      done(failed);
    };
    if (secured)
      secured->async_read_some(asio::buffer(input), std::move(counted));
    else
      socket.async_read_some(asio::buffer(input), std::move(counted));
  });
  if (got.has_error()) return got.error();
  return *count;
}

redis_connection::redis_connection(redis_address address, std::shared_ptr<redis_tls> tls,
                                   std::shared_ptr<const std::atomic<bool>> stopped)
    : state_{std::make_unique<state>()} {
  state_->address = std::move(address);
  state_->tls = std::move(tls);
  state_->stopped = std::move(stopped);
}

redis_connection::~redis_connection() = default;

bool redis_connection::is_open() const {
  return state_->socket.is_open();
}

void redis_connection::close() {
  state_->close();
}

result<void> redis_connection::open(time_point deadline) {
  state_->close();
  state_->reader = redis_reader{};
  const auto& to = state_->address;
  auto found = std::make_shared<asio::ip::tcp::resolver::results_type>();
  auto done = state_->wait(deadline, "its name can't be resolved", [&](auto tell) {
    state_->resolver.async_resolve(to.host, std::to_string(to.port),
                                   [found, tell](const redis_error_code& failed, auto addresses) {
                                     *found = std::move(addresses);
                                     tell(failed);
                                   });
  });
  if (done.has_error()) return done;
  done = state_->wait(deadline, "can't connect", [&](auto tell) {
    asio::async_connect(state_->socket, *found, std::move(tell));
  });
  if (done.has_error()) return done;
  redis_error_code ignored; // both are for comfort
  state_->socket.set_option(asio::ip::tcp::no_delay{true}, ignored);
  state_->socket.set_option(asio::socket_base::keep_alive{true}, ignored);
  return to.tls ? state_->handshake(deadline) : done;
}

result<std::vector<redis_reply>>
redis_connection::exchange(std::string_view commands, std::size_t replies, time_point deadline) {
  if (const auto sent = state_->write(commands, deadline); sent.has_error()) return sent.error();
  std::vector<redis_reply> out;
  out.reserve(replies);
  for (std::size_t bytes = 0; out.size() < replies;) {
    auto reply = state_->reader.next();
    if (reply.has_value() && *reply) {
      out.push_back(std::move(**reply));
      continue;
    }
    if (reply.has_error() || bytes > max_answer_bytes) {
      close();
      return redis_unavailable(reply.has_error() ? reply.error().message
                                                 : "its answer is too long");
    }
    const auto got = state_->read(deadline);
    if (got.has_error()) return got.error();
    bytes += *got;
    state_->reader.feed({state_->input.data(), *got});
  }
  return out;
}

} // namespace penstock
