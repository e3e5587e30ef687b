// How events are handed to a sink, as plain values; cli/ fills them in from the configuration.
#pragma once

#include <chrono>
#include <cstdint>

namespace penstock {

/// How a publisher hands events to a sink, whatever its kind.
struct delivery_settings {
  std::uint32_t lanes = 4;        ///< batches under way; a client's events all go through one lane
  std::uint32_t batch_events = 0; ///< 0: the kind's own
  std::uint64_t batch_bytes = 0;  ///< of bodies; 0: the kind's own
  std::chrono::milliseconds linger_ms{5};         ///< how long a batch that is not full waits
  std::chrono::milliseconds timeout_ms{10'000};   ///< for one batch to be confirmed
  std::chrono::milliseconds retry_min_ms{100};    ///< the first pause after a failure
  std::chrono::milliseconds retry_max_ms{30'000}; ///< the longest
  std::uint32_t max_tries = 5; ///< of an event that is refused; then it is a dead letter
  /// How long a stream waits for a target that is not there (a topic, a queue); then its events are
  /// dead letters. 0: for ever.
  std::chrono::milliseconds missing_target_after_ms{600'000};
  bool operator==(const delivery_settings&) const = default;
};

} // namespace penstock
