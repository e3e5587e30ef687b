// How nodes connect to each other: what CAF's middleman does, mended.
#pragma once

#include <caf/io/middleman_actor.hpp>

#include <memory>

namespace caf::io {
class scribe;
}

namespace penstock {

/// Connects to peers and listens for them. Must end before its actor system.
class cluster_transport {
 public:
  /// Over plain TCP. Starts one thread, for connecting. Needs a linked_system_config.
  static std::unique_ptr<cluster_transport> start_plain(caf::actor_system& system);

  virtual ~cluster_transport();

  cluster_transport(const cluster_transport&) = delete;
  cluster_transport& operator=(const cluster_transport&) = delete;

  /// In place of `system.middleman().actor_handle()`. A connect takes `peer_timeout` for TCP and as
  /// long for the first word of the peer, at most.
  const caf::io::middleman_actor& middleman() const { return middleman_; }

 protected:
  cluster_transport(caf::actor_system& system, caf::io::middleman_actor middleman);

 private:
  caf::actor_system& system_;
  caf::io::middleman_actor middleman_;
};

/// Tells that broker that a connection it made was heard of just now; of others it does nothing. To
/// be called when the connection begins to read, on the broker's thread. Without it CAF 0.17.6
/// takes a connection that it made as silent since the clock began, until its peer's first word is
/// there (basp_broker.cpp, connect_atom), and closes it with the next heartbeat: peers that are a
/// heartbeat of 200 ms away were never linked, and nearer ones not at the first attempt.
void count_as_heard(caf::io::scribe& connection);

} // namespace penstock
