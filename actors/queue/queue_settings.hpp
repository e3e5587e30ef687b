// What the configuration says of the embedded queue.
#pragma once

#include <chrono>
#include <cstdint>

namespace penstock {

struct queue_settings {
  std::uint64_t max_in_flight = 100'000;    ///< leased messages per stream
  std::uint64_t memory_bytes = 64ull << 20; ///< recent blocks kept for publishers that keep up
  std::chrono::milliseconds default_lease_ms{30'000};
};

} // namespace penstock
