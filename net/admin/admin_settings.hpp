// What the configuration says of the admin plane.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace penstock {

struct admin_settings {
  std::string listen = "127.0.0.1:8081";
  std::string token;                ///< Authorization: Bearer; needed off loopback
  std::vector<std::string> hosts{}; ///< names that Host may have beside loopback addresses
  std::uint32_t max_strangers = 64; ///< connections without a good request so far
  std::uint32_t max_operators = 64;
  std::uint32_t max_consumers = 1024;
  std::uint64_t max_bodies_bytes = 16ull << 20;  ///< of requests under way, together
  std::uint64_t max_answers_bytes = 64ull << 20; ///< not yet read; half of it is for consumers
};

} // namespace penstock
