// The kinds of sinks there are: one line each.
#pragma once

#include "actors/delivery/sink.hpp"
#include "actors/delivery/sink_settings.hpp"
#include "storage/base/result.hpp"

#include <memory>
#include <string>

namespace penstock {

/// What a sink needs beside its settings.
struct sink_context {
  std::string name;      ///< as in [sinks.NAME], for messages
  std::string node_name; ///< for client names, and the source of CloudEvents if none is set
};

/// Makes the sink without touching the network. Errors: config, naming key and fix.
result<std::shared_ptr<sink>> make_sink(const sink_settings& settings, const sink_context& context);

// Each in a file of its own, net/sinks/KIND_sink.cpp.
result<std::shared_ptr<sink>> make_nats_sink(const sink_settings&, const sink_context&);
result<std::shared_ptr<sink>> make_kafka_sink(const sink_settings&, const sink_context&);
result<std::shared_ptr<sink>> make_kinesis_sink(const sink_settings&, const sink_context&);
result<std::shared_ptr<sink>> make_sqs_sink(const sink_settings&, const sink_context&);
result<std::shared_ptr<sink>> make_redis_sink(const sink_settings&, const sink_context&);
result<std::shared_ptr<sink>> make_http_sink(const sink_settings&, const sink_context&);

} // namespace penstock
