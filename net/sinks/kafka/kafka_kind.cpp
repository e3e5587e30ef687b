#include "net/sinks/kafka/kafka_sink.hpp"

namespace penstock {

namespace {

std::vector<sink_key> kafka_keys(kafka_sink_settings& to) {
  return {
      {"brokers", text_field{&to.brokers, "addresses with commas between"}, "", "127.0.0.1:9092",
       "kafka: brokers to begin with. Needed.", sink_key_part::target, true},
      {"topic", text_field{&to.topic, "a topic"}, "events-{stream}", "ingest.{stream}",
       "kafka: the topic; {stream} stands for the stream's name."},
      {"properties", pairs_field{&to.properties}, "{}", "{ \"linger.ms\" = \"5\" }",
       "kafka: librdkafka's own settings, by its names.", sink_key_part::tuning},
      username_key(to.username),
      password_key(to.password),
      {"sasl_mechanism",
       choice_field{&to.sasl_mechanism, {"", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}}, "",
       "SCRAM-SHA-512", "kafka: how username and password are used.", sink_key_part::security},
      {"tls", flag_field{&to.tls}, "false", "true",
       "kafka: connect with TLS. Other kinds say so in their URL.", sink_key_part::security},
      ca_file_key(to.certificates.ca_file),
      cert_file_key(to.certificates.cert_file),
      key_file_key(to.certificates.key_file),
  };
}

} // namespace

sink_kind kafka_kind() {
  return sink_kind_of("kafka", kafka_keys, make_kafka_sink);
}

} // namespace penstock
