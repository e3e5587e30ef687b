// What a node needs to prove itself to its peers and to check them: OpenSSL's settings, made from
// three PEM files.
#pragma once

#include "storage/base/result.hpp"

#include <openssl/ssl.h>

#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace penstock {

struct tls_files {
  std::string cert; ///< the node's certificate, and those between it and the authority
  std::string key;  ///< of the certificate, without a passphrase
  std::string ca;   ///< the authorities whose certificates peers may have

  bool given() const { return !cert.empty(); }
};

using tls_context = std::shared_ptr<SSL_CTX>;

/// Mutual TLS 1.3 with these files: a peer of another authority, or without a certificate that is
/// valid now, is refused on either side. Names in certificates are not compared with addresses.
/// Reads the files; any thread. Errors: errc::config, with the key of the configuration, the file
/// and the fix.
result<tls_context> load_tls_context(const tls_files& files);

/// Why peers with the same authorities would refuse the context's own certificate now, e.g.
/// "certificate has expired"; empty when they would not.
std::string own_certificate_fault(const tls_context& context);

/// The context that new connections get; it can be exchanged while they are made. Any thread.
class tls_contexts {
 public:
  explicit tls_contexts(tls_context first) : now_(std::move(first)) {}
  tls_context now() const {
    const std::lock_guard hold{mutex_};
    return now_;
  }
  void exchange(tls_context next) {
    const std::lock_guard hold{mutex_};
    now_ = std::move(next);
  }

 private:
  mutable std::mutex mutex_;
  tls_context now_;
};

} // namespace penstock
