// The kind kafka.
#pragma once

#include "net/sinks/shared_keys.hpp"
#include "net/sinks/sink_kind.hpp"

#include <memory>
#include <string>

namespace penstock {

struct kafka_sink_settings {
  std::string brokers{};
  std::string topic = "events-{stream}"; ///< `{stream}` stands for the stream's name
  text_pairs properties{};               ///< of librdkafka, by its names
  std::string username{};                ///< of SASL
  std::string password{};
  std::string sasl_mechanism{}; ///< PLAIN, SCRAM-SHA-256, SCRAM-SHA-512
  bool tls = false;
  sink_certificates certificates{};
};

/// Makes the sink without touching the network. Errors: config, naming key and fix.
result<std::shared_ptr<sink>> make_kafka_sink(const kafka_sink_settings& settings,
                                              const sink_context& context);

sink_kind kafka_kind();

} // namespace penstock
