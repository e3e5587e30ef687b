// What the configuration says of usage.
#pragma once

#include <chrono>
#include <cstdint>

namespace penstock {

struct usage_settings {
  bool enabled = true;
  std::chrono::milliseconds minute_retention_ms{std::chrono::hours{48}};
  std::chrono::milliseconds hour_retention_ms{std::chrono::hours{24 * 60}};
  std::chrono::milliseconds day_retention_ms{std::chrono::hours{24 * 730}};
  std::uint64_t max_rows = 20'000'000; ///< of all periods
};

} // namespace penstock
