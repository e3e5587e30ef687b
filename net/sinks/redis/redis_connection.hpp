// A connection to a Redis server: TCP or TLS, with a deadline for everything.
#pragma once

#include "net/sinks/redis/redis_protocol.hpp"
#include "net/sinks/redis/redis_url.hpp"
#include "net/sinks/shared_keys.hpp"
#include "storage/base/result.hpp"

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// Certificates and the rules for the server's; shared by connections.
struct redis_tls;

/// Reads the files. Errors: config, naming the field and why.
result<std::shared_ptr<redis_tls>> make_redis_tls(const sink_certificates& files);

/// Used by one thread. `stopped` may be set by any: what waits then fails within stop_check_ms.
class redis_connection {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::milliseconds stop_check_ms{50};
  /// More is no answer to anything that we send.
  static constexpr std::size_t max_answer_bytes = 16u << 20;

  /// `tls` is set exactly when the address says so.
  redis_connection(redis_address address, std::shared_ptr<redis_tls> tls,
                   std::shared_ptr<const std::atomic<bool>> stopped);
  ~redis_connection();
  redis_connection(const redis_connection&) = delete;
  redis_connection& operator=(const redis_connection&) = delete;

  bool is_open() const;
  /// Connects, after close() if need be; with TLS the server's certificate and name are verified.
  /// Errors: unavailable, saying why but not to where.
  result<void> open(time_point deadline);
  /// Sends commands together and waits for as many replies as there are commands. After an error
  /// the connection is closed. Errors: unavailable.
  result<std::vector<redis_reply>> exchange(std::string_view commands, std::size_t replies,
                                            time_point deadline);
  void close();

 private:
  struct state;
  std::unique_ptr<state> state_;
};

} // namespace penstock
