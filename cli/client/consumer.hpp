// Consuming the embedded queue through the admin plane: receive, hand on, acknowledge.
#pragma once

#include "cli/client/http_client.hpp"

#include <boost/json/object.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace penstock {

/// The most messages that the server gives at once.
inline constexpr std::uint32_t max_batch_messages = 10'000;

/// How many messages may still be handled; workers of one group share it. Any thread.
class message_budget {
 public:
  /// 0: no end.
  explicit message_budget(std::uint64_t most) : endless_{most == 0}, left_{most} {}

  /// At most `wanted`; 0 when nothing is left.
  std::uint64_t take(std::uint64_t wanted) {
    if (endless_) return wanted;
    auto left = left_.load();
    while (!left_.compare_exchange_weak(left, left - std::min(left, wanted))) {
    }
    return std::min(left, wanted);
  }
  /// What was taken and not handled after all.
  void give_back(std::uint64_t count) {
    if (!endless_) left_ += count;
  }

 private:
  const bool endless_;
  std::atomic<std::uint64_t> left_;
};

struct consume_options {
  std::string stream = "default";
  std::uint32_t batch = 100;      ///< messages a receive asks for, up to max_batch_messages
  std::chrono::seconds lease{30}; ///< how long a received message is ours
  std::chrono::seconds wait{1};   ///< how long the server may wait for a message
  bool follow = true;             ///< false: end when the queue is empty
  std::string from;               ///< an event id or a time: read again from there to the end
  /// A node that answers 503 is asked again after each pause, for so long in all.
  std::chrono::milliseconds busy_pause{1000};
  std::chrono::milliseconds max_busy{30'000};
};

/// One message: id, time, content_type, data or data_base64, attributes; without the receipt.
using message = boost::json::object;

enum class handled : std::uint8_t {
  done,  ///< acknowledge it
  retry, ///< give it back
  stop,  ///< give it and all that follow back, and end
};

/// Called with each message, in order.
using message_handler = std::function<handled(const message&)>;
/// Called when a batch was handled, before it is acknowledged; false: what was written did not
/// arrive, so give the batch back and end.
using batch_end = std::function<bool()>;

struct consume_totals {
  std::uint64_t acknowledged = 0;
  std::uint64_t given_back = 0;
};

/// The longest pause after a batch of which nothing could be handled; the first is a tenth of a
/// second, each further one twice the one before.
inline constexpr std::chrono::milliseconds max_retry_pause{5'000};

/// Until `budget` is used up, an empty queue without `follow`, `handled::stop`, or `stopping` turns
/// true (from a signal handler). Whatever was received and not done is given back at the end.
/// Messages that are read again (`from`) have no receipt and are not acknowledged. Errors:
/// unavailable; config when the server refuses the token; invalid for what else it refuses.
result<consume_totals> consume(http_client& client, const consume_options& options,
                               message_budget& budget, const std::atomic<bool>& stopping,
                               const message_handler& handle, const batch_end& finish);

} // namespace penstock
