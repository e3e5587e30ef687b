// One connection to a NATS server, over which messages go out and their confirmations come back.
#pragma once

#include "net/nats/nats_connection.hpp"

#include <chrono>
#include <optional>
#include <string>

namespace penstock {

/// Never connects again by itself: what was sent over a link that broke is then the beginning of
/// what was published, and nothing of it follows later from a buffer. One thread.
class nats_link {
 public:
  /// The longest that connecting to one server, or a write that the server doesn't take, may last.
  static constexpr std::chrono::milliseconds max_stall_ms{2000};

  nats_link(nats_login login, std::string client_name)
      : login_{std::move(login)}, client_name_{std::move(client_name)} {}
  ~nats_link() { close(); }

  bool is_open() const { return connection_ != nullptr; }
  /// Connects and subscribes to a new inbox. Gives why that failed, without secrets, and the fix.
  std::optional<std::string> open(const nats_server& server, std::chrono::milliseconds timeout);
  void close();

  natsConnection* connection() { return connection_.get(); }
  /// What reply subjects begin with; ends with a dot.
  const std::string& inbox() const { return inbox_; }
  /// The most bytes that the server takes for a message's headers and body.
  std::size_t max_payload_bytes();

  /// Hands the message to the connection's buffer. False when the connection is lost.
  bool publish(natsMsg* message);
  /// Sends what is in the buffer now, rather than within a millisecond.
  void flush(std::chrono::milliseconds timeout);
  struct incoming {
    nats_ptr<natsMsg> message{}; ///< null when there is none within the time
    /// In its place: the server says that nobody takes one of our messages, but not which.
    bool no_responders = false;
  };
  incoming next(std::chrono::milliseconds timeout);
  /// Why no more will come: the connection is lost, or the server forbade something. Else empty.
  std::string fault();

 private:
  nats_login login_;
  std::string client_name_;
  std::string inbox_;
  nats_ptr<natsConnection> connection_;
  nats_ptr<natsSubscription> subscription_;
};

} // namespace penstock
