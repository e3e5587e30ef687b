// Settings of sinks, as plain values; cli/ fills them in from the configuration.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

namespace penstock {

/// How a publisher hands events to a sink, whatever its kind.
struct delivery_settings {
  std::uint32_t lanes = 4;        ///< batches under way; a client's events all go through one lane
  std::uint32_t batch_events = 0; ///< 0: the kind's own
  std::uint64_t batch_bytes = 0;  ///< of bodies; 0: the kind's own
  std::chrono::milliseconds linger_ms{5};         ///< how long a batch that is not full waits
  std::chrono::milliseconds timeout_ms{10'000};   ///< for one batch to be confirmed
  std::chrono::milliseconds retry_min_ms{100};    ///< the first pause after a failure
  std::chrono::milliseconds retry_max_ms{30'000}; ///< the longest
  std::uint32_t max_tries = 5; ///< of an event that is refused; then it is a dead letter
  /// How long a stream waits for a target that is not there (a topic, a queue); then its events are
  /// dead letters. 0: for ever.
  std::chrono::milliseconds missing_target_after_ms{600'000};
  bool operator==(const delivery_settings&) const = default;
};

/// One [sinks.NAME]. Each kind reads the fields that are its own; the option table says which
/// (cli/config/sink_options.cpp). `{stream}` in a template stands for the stream's name.
struct sink_settings {
  std::string kind = "embedded";
  delivery_settings delivery{};

  std::string url{};    ///< nats (several with commas), redis, http
  std::string stream{}; ///< nats: of JetStream, checked if set. kinesis: where the records go
  std::string subject = "events.{stream}"; ///< nats, a template
  std::string brokers{};                   ///< kafka
  std::string topic = "events-{stream}";   ///< kafka, a template
  std::string region{};                    ///< kinesis, sqs
  std::string endpoint{};                  ///< kinesis, sqs: only to leave AWS's own
  std::string queue_url{};                 ///< sqs
  std::string key = "events:{stream}";     ///< redis, a template
  std::uint64_t max_len = 0;               ///< redis: about how many entries a stream keeps; 0: all
  std::string format = "ndjson";           ///< http: ndjson | cloudevents-batch
  std::map<std::string, std::string> headers{};    ///< http, sent with each request
  std::map<std::string, std::string> properties{}; ///< kafka: of librdkafka, by its names
  std::string source{}; ///< of CloudEvents made here; empty: "/penstock/NODE"

  // Credentials; never logged.
  std::string username{}; ///< nats, redis, kafka (SASL)
  std::string password{};
  std::string token{};            ///< nats
  std::string credentials_file{}; ///< nats: .creds; kinesis, sqs: the shared file, if not ~/.aws/…
  std::string profile{};        ///< kinesis, sqs: of the shared file; empty: $AWS_PROFILE, default
  std::string metadata_url{};   ///< kinesis, sqs: the instance's metadata service; empty: not asked
  std::string sasl_mechanism{}; ///< kafka: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512

  // TLS. On by the URL's scheme (tls://, rediss://, https://), for kafka by `tls`. The server's
  // certificate is always verified.
  bool tls = false;        ///< kafka
  std::string ca_file{};   ///< PEM; empty: the system's
  std::string cert_file{}; ///< PEM, ours, where the server wants one
  std::string key_file{};  ///< PEM
  bool operator==(const sink_settings&) const = default;
};

} // namespace penstock
