// The kafka sink's settings as librdkafka wants them, and where its log lines go.
#pragma once

#include "net/sinks/kafka/kafka_sink.hpp"
#include "storage/base/result.hpp"

#include <librdkafka/rdkafka.h>

#include <atomic>
#include <memory>
#include <string>

namespace penstock {

struct kafka_deleter {
  void operator()(rd_kafka_conf_t* conf) const { rd_kafka_conf_destroy(conf); }
  /// Waits for its threads: nothing is sent, called or read from then on.
  void operator()(rd_kafka_t* producer) const { rd_kafka_destroy(producer); }
  void operator()(rd_kafka_topic_t* topic) const { rd_kafka_topic_destroy(topic); }
  void operator()(rd_kafka_headers_t* headers) const { rd_kafka_headers_destroy(headers); }
  void operator()(rd_kafka_error_t* failed) const { rd_kafka_error_destroy(failed); }
};
template <class T>
using kafka_ptr = std::unique_ptr<T, kafka_deleter>;

/// What a sink's connections share: read-only but for `stopped`.
struct kafka_shared {
  std::string name;   ///< as in [sinks.NAME]
  std::string topic;  ///< a template
  std::string source; ///< of CloudEvents made here
  kafka_ptr<rd_kafka_conf_t> conf;
  std::atomic<bool> stopped{false};
};

/// Checks everything that can be checked without the network: names and values of properties,
/// topics, certificates. Errors: config, naming the key and the fix, no secret.
result<std::shared_ptr<kafka_shared>> make_kafka_shared(const kafka_sink_settings& settings,
                                                        const sink_context& context);

} // namespace penstock
