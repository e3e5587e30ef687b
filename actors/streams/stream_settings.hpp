// What the configuration says of a stream.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace penstock {

/// What a 202 promises; the last two wait for more than this node's disk.
enum class ack_level : std::uint8_t { received, journaled, replicated, published };

inline bool waits_beyond_disk(ack_level level) {
  return level > ack_level::journaled;
}

/// What a client is told whose events are durable here, and that a second node, or not every sink,
/// has in time.
enum class unpublished_policy : std::uint8_t {
  accept, ///< 202, which says that they are journaled
  refuse, ///< 503, which says so, too
};

/// What becomes of a stream at its max_size or max_age: new events are refused, or the oldest are
/// let go, counted and logged.
enum class full_stream_policy : std::uint8_t { refuse, expire };

struct stream_settings {
  ack_level ack = ack_level::journaled;
  std::chrono::milliseconds publish_timeout_ms{5'000}; ///< with ack_level::published…
  unpublished_policy on_publish_timeout = unpublished_policy::accept; ///< …as is this
  std::chrono::milliseconds replicate_timeout_ms{2'000}; ///< these two with ack_level::replicated
  unpublished_policy on_replicate_timeout = unpublished_policy::accept;
  bool expendable = false; ///< refused first when the journal is nearly full
  std::vector<std::string> sinks{"queue"};
  std::uint64_t max_body_bytes = 0; ///< 0: as http.max_body
  std::uint64_t max_size_bytes =
      0; ///< of what no sink has taken yet; 0: no bound but the journal's
  std::chrono::milliseconds max_age_ms{0}; ///< of the oldest such event; 0: no bound
  full_stream_policy when_full = full_stream_policy::refuse;
  bool operator==(const stream_settings&) const = default;

  /// How long a request that waits beyond the disk does…
  std::chrono::milliseconds wait_ms(ack_level level) const {
    return level == ack_level::replicated ? replicate_timeout_ms : publish_timeout_ms;
  }
  /// …and what it is told then.
  unpublished_policy on_timeout(ack_level level) const {
    return level == ack_level::replicated ? on_replicate_timeout : on_publish_timeout;
  }
};

} // namespace penstock
