// Settings of the sockets, as plain values; cli/ fills them in from the configuration.
#pragma once

#include "actors/settings.hpp"

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
  std::uint64_t max_connections = 10'000;              ///< per node
  std::uint32_t max_connections_per_address = 0;       ///< 0: no bound but that
  std::uint32_t max_pipeline = 64;                     ///< requests under way per connection
  std::uint32_t max_batch_events = 10'000;             ///< events in one request
  std::uint64_t max_in_flight_bytes = 256ull << 20;    ///< bodies between socket and disk, per node
  unknown_streams others = unknown_streams::accept;
  std::chrono::milliseconds header_timeout_ms{10'000}; ///< first byte to end of header
  std::chrono::milliseconds body_timeout_ms{30'000};   ///< end of header to end of body
  std::chrono::milliseconds idle_timeout_ms{75'000};   ///< no request under way
  std::chrono::milliseconds write_timeout_ms{30'000};  ///< no progress while an answer is unsent
};

struct admin_settings {
  std::string listen = "127.0.0.1:8081";
  std::string token; ///< Authorization: Bearer; needed off loopback
  std::vector<std::string> hosts{}; ///< names that Host may have beside loopback addresses
  std::uint32_t max_strangers = 64; ///< connections without a good request so far
  std::uint32_t max_operators = 64;
  std::uint32_t max_consumers = 1024;
  std::uint64_t max_bodies_bytes = 16ull << 20;  ///< of requests under way, together
  std::uint64_t max_answers_bytes = 64ull << 20; ///< not yet read; half of it is for consumers
};

/// One way to tell who is calling; tried in the configured order, the first match wins.
enum class identity_source : std::uint8_t {
  bearer,
  x_api_key,
  query,
  header,
  cookie,
  referer,
  ip,
  path
};
struct identity_rule {
  identity_source source = identity_source::ip;
  std::string name; ///< of the header (lower case) or cookie; the prefix of a path
};

struct identity_settings {
  std::vector<identity_rule> order{{identity_source::ip, ""}};
  std::uint32_t ipv4_prefix = 32;
  std::uint32_t ipv6_prefix = 64;
  /// Who has no API key gets 401. An order that looks for none gets bearer and x-api-key in front.
  bool refuse_anonymous = false;
};

} // namespace penstock
