// What the configuration says of the ingest plane's sockets.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace penstock {

/// Which header of a trusted proxy says whom it speaks for; all others are ignored.
enum class client_address_source : std::uint8_t { x_forwarded_for, forwarded, none };

/// What becomes of events for a stream that is not configured.
enum class unknown_streams : std::uint8_t { accept, refuse };

struct http_settings {
  std::string listen = "127.0.0.1:8080";
  std::uint32_t threads = 0;                ///< 0: one a core
  std::vector<std::string> trusted_proxies; ///< networks, e.g. "127.0.0.1/32"
  client_address_source client_address_from = client_address_source::x_forwarded_for;
  std::uint64_t max_body_bytes = 1ull << 20;
  std::uint64_t max_header_bytes = 16ull << 10;
  std::uint64_t max_connections = 10'000;           ///< per node
  std::uint32_t max_connections_per_address = 0;    ///< 0: no bound but that
  std::uint32_t max_pipeline = 64;                  ///< requests under way per connection
  std::uint32_t max_batch_events = 10'000;          ///< events in one request
  std::uint64_t max_in_flight_bytes = 256ull << 20; ///< bodies between socket and disk, per node
  unknown_streams others = unknown_streams::accept;
  std::chrono::milliseconds header_timeout_ms{10'000}; ///< first byte to end of header
  std::chrono::milliseconds body_timeout_ms{30'000};   ///< end of header to end of body
  std::chrono::milliseconds idle_timeout_ms{75'000};   ///< no request under way
  std::chrono::milliseconds write_timeout_ms{30'000};  ///< no progress while an answer is unsent
};

} // namespace penstock
