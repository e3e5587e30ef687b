// The kind nats: JetStream.
#pragma once

#include "net/nats/nats_login.hpp"
#include "net/sinks/sink_kind.hpp"

#include <memory>
#include <string>

namespace penstock {

struct nats_sink_settings {
  std::string url{};                       ///< several with commas
  std::string stream{};                    ///< of JetStream, checked if set
  std::string subject = "events.{stream}"; ///< `{stream}` stands for the stream's name
  nats_login login{};
};

/// Makes the sink without touching the network. Errors: config, naming key and fix.
result<std::shared_ptr<sink>> make_nats_sink(const nats_sink_settings& settings,
                                             const sink_context& context);

sink_kind nats_kind();

} // namespace penstock
