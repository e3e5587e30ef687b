#include "net/links/tls_session.hpp"

#include <fmt/format.h>
#include <openssl/err.h>

#include <algorithm>
#include <string_view>

namespace penstock {
namespace {

// Also tells a node from something else that speaks TLS and has a certificate of the authority.
constexpr std::string_view tls_greeting = "penstock";

bool is_about_certificates(int alert) {
  return (alert >= SSL_AD_NO_CERTIFICATE && alert <= SSL_AD_UNKNOWN_CA) ||
         alert == TLS13_AD_CERTIFICATE_REQUIRED || alert == SSL_AD_DECRYPT_ERROR;
}

tls_fault describe_tls_error(unsigned long code, long verified) {
  const int reason = ERR_GET_REASON(code);
  const char* const text = ERR_reason_error_string(code);
  switch (reason) {
  case SSL_R_CERTIFICATE_VERIFY_FAILED:
    return {
        fmt::format("its certificate is not accepted: {}", X509_verify_cert_error_string(verified)),
        true};
  case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
    return {"it has no certificate", true};
  case SSL_R_UNEXPECTED_EOF_WHILE_READING:
    return {"it closed the connection", false};
  case SSL_R_WRONG_VERSION_NUMBER:
  case SSL_R_HTTP_REQUEST:
    return {"what it says is not TLS; all nodes of a cluster need cluster.tls_cert, or none", true};
  default:
    break;
  }
  const int alert = reason - SSL_AD_REASON_OFFSET;
  if (alert >= 0 && alert <= 255)
    return {fmt::format("it {}: {}",
                        is_about_certificates(alert) ? "does not accept this node's certificate"
                                                     : "ended the handshake",
                        SSL_alert_desc_string_long(alert)),
            true};
  return {fmt::format("the handshake failed: {}", text ? text : "no reason is known"), true};
}

} // namespace

tls_session::tls_session(const tls_context& context, int socket, bool accepted)
    : ssl_(SSL_new(context.get()), &SSL_free), accepted_(accepted) {
  if (!ssl_ || SSL_set_fd(ssl_.get(), socket) != 1) throw std::bad_alloc{};
  if (accepted)
    SSL_set_accept_state(ssl_.get());
  else
    SSL_set_connect_state(ssl_.get());
}

bool tls_session::heard() const {
  return BIO_number_read(SSL_get_rbio(ssl_.get())) > 0;
}

// OpenSSL tells why by a queue of the thread, so it must be empty before each operation: what one
// connection left there would be taken for a failure of the next.
tls_step tls_session::outcome(int returned) {
  if (returned > 0) return tls_step::done;
  switch (SSL_get_error(ssl_.get(), returned)) {
  case SSL_ERROR_WANT_READ:
    return tls_step::wants_read;
  case SSL_ERROR_WANT_WRITE:
    return tls_step::wants_write;
  case SSL_ERROR_SSL:
    fault_ = describe_tls_error(ERR_peek_error(), SSL_get_verify_result(ssl_.get()));
    break;
  default:
    fault_ = {"it closed the connection", false};
  }
  ERR_clear_error();
  return tls_step::failed;
}

tls_step tls_session::open() {
  if (!shaken_) {
    ERR_clear_error();
    if (const auto step = outcome(SSL_do_handshake(ssl_.get())); step != tls_step::done)
      return step;
    shaken_ = true;
  }
  return accepted_ ? greet() : await_greeting();
}

tls_step tls_session::greet() {
  while (greeting_.size() < tls_greeting.size()) {
    const auto rest = tls_greeting.substr(greeting_.size());
    std::size_t count = 0;
    if (const auto step = write(rest.data(), rest.size(), count); step != tls_step::done)
      return step;
    greeting_ += rest.substr(0, count);
  }
  SSL_set_read_ahead(ssl_.get(), 1);
  return tls_step::done;
}

// Until here nothing is read ahead: what follows must be left in the socket, which wakes the loop.
tls_step tls_session::await_greeting() {
  char part[tls_greeting.size()];
  while (greeting_.size() < tls_greeting.size()) {
    std::size_t count = 0;
    if (const auto step = read(part, tls_greeting.size() - greeting_.size(), count);
        step != tls_step::done)
      return step;
    greeting_.append(part, count);
  }
  if (greeting_ != tls_greeting) {
    fault_ = {"it speaks TLS, but is no node of a cluster", true};
    return tls_step::failed;
  }
  SSL_set_read_ahead(ssl_.get(), 1);
  return tls_step::done;
}

tls_step tls_session::read(void* into, std::size_t size, std::size_t& count) {
  ERR_clear_error();
  return outcome(SSL_read_ex(ssl_.get(), into, size, &count));
}

tls_step tls_session::write(const void* from, std::size_t size, std::size_t& count) {
  ERR_clear_error();
  return outcome(SSL_write_ex(ssl_.get(), from, size, &count));
}

} // namespace penstock
