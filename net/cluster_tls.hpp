// TLS between the nodes of a cluster: what CAF's middleman does over plain TCP.
#pragma once

#include "actors/gate.hpp"
#include "net/tls_context.hpp"

#include <caf/io/middleman_actor.hpp>

#include <memory>

namespace penstock {

class tls_handshakes;

/// Connects to peers and listens for them with mutual TLS. Must end before its actor system.
class cluster_tls {
 public:
  /// Starts one thread for handshakes and one for connecting. Needs the middleman. Errors: config.
  static result<std::unique_ptr<cluster_tls>>
  start(caf::actor_system& system, const tls_files& files, std::shared_ptr<gate_metrics> metrics);
  ~cluster_tls();

  /// In place of `system.middleman().actor_handle()`. A connect takes `peer_timeout` for TCP and
  /// as long for the handshake, at most. Of the errors, those of the category `transport_category`
  /// are refusals, with a sentence for the log as context.
  const caf::io::middleman_actor& middleman() const { return middleman_; }

  /// Takes the files for connections made from now on. Errors: config; then nothing changes.
  result<void> reload(const tls_files& files);

 private:
  cluster_tls(caf::actor_system& system, tls_context context,
              std::shared_ptr<gate_metrics> metrics);

  caf::actor_system& system_;
  std::shared_ptr<tls_contexts> contexts_;
  std::shared_ptr<tls_handshakes> handshakes_;
  caf::io::middleman_actor middleman_;
};

} // namespace penstock
