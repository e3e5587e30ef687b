// When a connection's patience ends, and with whom.
#pragma once

#include "storage/base/assert.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>

namespace penstock {

/// A deadline is for the client's next step, unless an answer is late or the socket takes no more:
///
///                      the deadline has passed while an answer is pending
///   of the client ─────────────────────────────────────────────────────────> none: we are late
///        ^   │                                                                  │
///        │   └──────────────────> of the socket <───────────────────────────────┘
///        │                          │   the socket takes no more
///        └──────────────────────────┘ start(): all is sent, or the client's next step has begun
///
/// Times are those of the loop. Not synchronised.
class session_deadline {
 public:
  /// The client's step begins; it may take so long.
  void start(std::int64_t now_ns, std::int64_t timeout_ns) {
    start(now_ns);
    at_ns_ = now_ns + timeout_ns;
  }
  /// The same without an end: nothing is expected of the client.
  void start(std::int64_t now_ns) {
    whose_ = owner::client;
    since_ns_ = now_ns;
    at_ns_ = none_ns;
  }
  /// An answer is pending at the deadline: it is we who are late.
  void suspend() {
    PENSTOCK_ASSERT(whose_ != owner::socket);
    whose_ = owner::us;
    at_ns_ = none_ns;
  }
  /// The socket takes no more: of `unsent` bytes, after `sent` since all was sent last. No progress
  /// for `timeout_ns` ends it, and so does progress that is too slow: a client that takes a byte
  /// now and then would hold its answers for ever.
  void block(std::int64_t now_ns, std::int64_t timeout_ns, std::size_t sent, std::size_t unsent);
  /// For so long it was the client that waited for us.
  void prolong(std::int64_t waited_ns) {
    if (at_ns_ != none_ns) at_ns_ += waited_ns;
    since_ns_ += waited_ns;
  }

  bool has_passed(std::int64_t now_ns) const { return now_ns >= at_ns_; }
  bool is_of_client() const { return whose_ == owner::client; }
  bool is_blocked() const { return whose_ == owner::socket; }
  /// When the client's step began, or the socket took no more.
  std::int64_t since_ns() const { return is_blocked() ? blocked_since_ns_ : since_ns_; }
  /// While blocked: of all that was sent, what was since then.
  std::size_t sent_since(std::size_t sent) const {
    PENSTOCK_ASSERT(is_blocked() && sent >= sent_when_blocked_);
    return sent - sent_when_blocked_;
  }

 private:
  enum class owner : std::uint8_t { client, us, socket };
  static constexpr std::int64_t none_ns = std::numeric_limits<std::int64_t>::max();

  owner whose_ = owner::client;
  std::int64_t at_ns_ = none_ns;
  std::int64_t since_ns_ = 0;
  std::int64_t blocked_since_ns_ = 0;
  std::size_t sent_when_blocked_ = 0;
};

} // namespace penstock
