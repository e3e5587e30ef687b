// Where clients connect: a listening socket a lane.
#pragma once

#include "cli/node/node_core.hpp"
#include "cli/node/unit.hpp"
#include "net/loop/listener.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// Clients that connect wait until a front end serves the socket.
class ingest_sockets final : public unit {
 public:
  explicit ingest_sockets(node_core& core) : core_(core) {}

  std::string_view name() const override { return "sockets"; }
  result<void> start() override;

  /// As many as there are lanes.
  std::size_t count() const { return sockets_.size(); }
  /// Of one lane; once.
  int give(std::size_t lane) { return sockets_[lane].give(); }
  /// "127.0.0.1:8080", also when port 0 was asked for.
  const std::string& address() const { return address_; }

 private:
  node_core& core_;
  std::vector<listening_socket> sockets_;
  std::string address_;
};

} // namespace penstock
