// The kind redis: Redis streams.
#pragma once

#include "net/sinks/shared_keys.hpp"
#include "net/sinks/sink_kind.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace penstock {

struct redis_sink_settings {
  std::string url{};
  std::string key = "events:{stream}"; ///< `{stream}` stands for the stream's name
  std::uint64_t max_len = 0;           ///< about how many entries a stream keeps; 0: all
  std::string username{};
  std::string password{};
  sink_certificates certificates{};
};

/// Makes the sink without touching the network. Errors: config, naming key and fix.
result<std::shared_ptr<sink>> make_redis_sink(const redis_sink_settings& settings,
                                              const sink_context& context);

sink_kind redis_kind();

} // namespace penstock
