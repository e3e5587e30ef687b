// What the configuration says of the limiters.
#pragma once

#include <cstdint>

namespace penstock {

struct limiter_settings {
  std::uint64_t max_clients = 10'000'000; ///< per node; beyond it new clients get 503
};

} // namespace penstock
