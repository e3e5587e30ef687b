// TLS between the nodes of a cluster: what CAF's middleman does over plain TCP.
#pragma once

#include "actors/cluster/handshake_acceptor.hpp"
#include "net/links/cluster_transport.hpp"
#include "net/links/tls_context.hpp"

#include <memory>

namespace penstock {

class tls_handshakes;

/// Connects to peers and listens for them with mutual TLS. A connect takes `peer_timeout` more, at
/// most, for the handshake. Of its errors, those of the category `transport_category` are refusals,
/// with a sentence for the log as context.
class cluster_tls final : public cluster_transport {
 public:
  /// Starts one thread for handshakes and one for connecting. Needs a linked_system_config. Errors:
  /// config.
  static result<std::unique_ptr<cluster_tls>> start(caf::actor_system& system,
                                                    const tls_files& files,
                                                    std::shared_ptr<handshake_metrics> metrics);
  ~cluster_tls() override;

  /// Takes the files for connections made from now on. Errors: config; then nothing changes.
  result<void> reload(const tls_files& files);

 private:
  cluster_tls(caf::actor_system& system, std::shared_ptr<tls_contexts> contexts,
              std::shared_ptr<tls_handshakes> handshakes);

  std::shared_ptr<tls_contexts> contexts_;
  std::shared_ptr<tls_handshakes> handshakes_;
};

} // namespace penstock
