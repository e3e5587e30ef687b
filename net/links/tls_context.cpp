#include "net/links/tls_context.hpp"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/x509.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace penstock {
namespace {

error tls_file_fault(const char* key, const std::string& file, const std::string& what) {
  return {errc::config, fmt::format("cluster.{}: {}: {}", key, file, what)};
}

// OpenSSL says the same of a file that is missing and of one that makes no sense.
result<void> readable(const char* key, const std::string& file) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> opened{std::fopen(file.c_str(), "r"),
                                                               &std::fclose};
  if (opened && std::fgetc(opened.get()) != EOF) return {};
  return tls_file_fault(key, file,
                        fmt::format("cannot be read: {}; correct the path, or let the user that "
                                    "runs the node read it",
                                    opened && errno == 0 ? "it is empty" : std::strerror(errno)));
}

// Without this OpenSSL would ask for a passphrase at the terminal.
int no_passphrase(char*, int, int, void*) {
  return 0;
}

result<void> use_files(SSL_CTX* context, const tls_files& files) {
  if (SSL_CTX_use_certificate_chain_file(context, files.cert.c_str()) != 1)
    return tls_file_fault("tls_cert", files.cert,
                          "holds no certificate that can be used; it must be PEM, beginning with "
                          "the node's own");
  SSL_CTX_set_default_passwd_cb(context, no_passphrase);
  if (SSL_CTX_use_PrivateKey_file(context, files.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    const bool other = ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH;
    return tls_file_fault(
        "tls_key", files.key,
        other ? fmt::format("is not the key of the certificate in {}; name the two that were made "
                            "together",
                            files.cert)
              : "holds no private key that can be used; it must be PEM without a passphrase "
                "(openssl pkey -in … -out … removes one)");
  }
  if (SSL_CTX_load_verify_locations(context, files.ca.c_str(), nullptr) != 1)
    return tls_file_fault("tls_ca", files.ca,
                          "holds no certificate of an authority; it must be PEM");
  return {};
}

} // namespace

result<tls_context> load_tls_context(const tls_files& files) {
  for (const auto& [key, file] :
       {std::pair{"tls_cert", &files.cert}, std::pair{"tls_key", &files.key},
        std::pair{"tls_ca", &files.ca}}) {
    errno = 0;
    if (const auto found = readable(key, *file); !found) return found.error();
  }
  ERR_clear_error();
  tls_context context{SSL_CTX_new(TLS_method()), &SSL_CTX_free};
  if (!context) return error{errc::config, "OpenSSL has no TLS"};
  const auto used = use_files(context.get(), files);
  ERR_clear_error();
  if (!used) return used.error();
  // Both ends are ours, so nothing older is needed.
  SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  // Links last; a resumed session would skip the look at the peer's certificate.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context.get(), 0);
  // A link offers what is left of its buffer again, or more of it.
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                       SSL_MODE_NO_AUTO_CHAIN); // what is sent is what tls_cert holds
  return context;
}

std::string own_certificate_fault(const tls_context& context) {
  X509* const own = SSL_CTX_get0_certificate(context.get());
  STACK_OF(X509)* between = nullptr;
  SSL_CTX_get0_chain_certs(context.get(), &between);
  const std::unique_ptr<X509_STORE_CTX, void (*)(X509_STORE_CTX*)> check{X509_STORE_CTX_new(),
                                                                         &X509_STORE_CTX_free};
  for (const char* purpose : {"ssl_client", "ssl_server"}) {
    if (!check ||
        X509_STORE_CTX_init(check.get(), SSL_CTX_get_cert_store(context.get()), own, between) != 1)
      return "it cannot be checked";
    X509_STORE_CTX_set_default(check.get(), purpose);
    if (X509_verify_cert(check.get()) != 1)
      return X509_verify_cert_error_string(X509_STORE_CTX_get_error(check.get()));
    X509_STORE_CTX_cleanup(check.get());
  }
  return {};
}

} // namespace penstock
