// The kind http: another Penstock, or any server that takes lines of JSON or CloudEvents.
#pragma once

#include "net/sinks/shared_keys.hpp"
#include "net/sinks/sink_kind.hpp"

#include <memory>
#include <string>

namespace penstock {

struct http_sink_settings {
  std::string url{};             ///< `{stream}` stands for the stream's name
  std::string format = "ndjson"; ///< ndjson | cloudevents-batch
  text_pairs headers{};          ///< sent with each request; may hold secrets
  sink_certificates certificates{};
};

/// Makes the sink without touching the network. Errors: config, naming key and fix.
result<std::shared_ptr<sink>> make_http_sink(const http_sink_settings& settings,
                                             const sink_context& context);

sink_kind http_kind();

} // namespace penstock
