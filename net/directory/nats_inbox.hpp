// Several subscriptions of which one thread takes the messages. libnats lets a thread wait for one
// subscription only, and JetStream delivers to a consumer's own subject only, no wildcard's.
#pragma once

#include "net/nats/nats_connection.hpp"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace penstock {

/// What comes is held without a bound of its own: the sender's flow control waits until what it
/// sent was taken. Any thread.
class nats_inbox {
 public:
  struct item {
    std::size_t subscription = 0; ///< index as given to subscribe()
    nats_ptr<natsMsg> message{};
  };

  /// The subscription ends with `connection`, or when it is destroyed; `inbox` lives as long as the
  /// library may call back.
  static natsStatus subscribe(const std::shared_ptr<nats_inbox>& inbox, natsConnection* connection,
                              const std::string& subject, std::size_t index,
                              nats_ptr<natsSubscription>& made);

  /// Nothing when none comes in time, or after wake().
  std::optional<item> next(std::chrono::milliseconds timeout);
  void wake();
  /// The connection is closed, and all that came was taken.
  bool ended();

 private:
  struct callback;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<item> items_;
  bool woken_ = false;
  bool ended_ = false;
};

} // namespace penstock
