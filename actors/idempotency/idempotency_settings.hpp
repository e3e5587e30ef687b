// What the configuration says of idempotency keys.
#pragma once

#include <chrono>
#include <cstdint>

namespace penstock {

struct idempotency_settings {
  std::chrono::milliseconds window_ms{24 * 3'600'000};
  std::uint64_t max_keys = 1'000'000; ///< per node; the oldest are forgotten first. 0: none is kept
};

} // namespace penstock
