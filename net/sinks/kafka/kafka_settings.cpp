#include "net/sinks/kafka/kafka_settings.hpp"

#include "net/base/stream_name.hpp"
#include "net/sinks/outgoing_form.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace penstock {

namespace {

constexpr std::string_view kafka_default_topic = "events-{stream}";
constexpr std::size_t kafka_max_topic_bytes = 249;

using kafka_property = std::pair<std::string_view, std::string_view>;

/// What the sink's promises rest on; the reasons are in docs/sinks/kafka.md.
constexpr kafka_property kafka_fixed[] = {
    {"enable.idempotence", "true"},
    {"enable.gapless.guarantee", "true"},
    {"message.timeout.ms", "0"},
    {"log.queue", "true"}, // no callback comes from a thread of librdkafka's
};

/// Ours unless `properties` says otherwise.
constexpr kafka_property kafka_defaults[] = {
    {"partitioner", "murmur2_random"},    // as Java's producers, so that keys meet
    {"reconnect.backoff.max.ms", "1000"}, // the publisher has pauses of its own
    {"log.connection.close", "false"},
};

/// Properties that are not for `properties`, and why.
constexpr kafka_property kafka_owned[] = {
    {"enable.idempotence", "it is always true, for order and against duplicates"},
    {"acks", "it is always all"},
    {"request.required.acks", "it is always all"},
    {"enable.gapless.guarantee", "it is always true, for order"},
    {"message.timeout.ms", "use timeout, of a whole batch"},
    {"delivery.timeout.ms", "use timeout, of a whole batch"},
    {"retries", "the batch is tried until its timeout"},
    {"message.send.max.retries", "the batch is tried until its timeout"},
    {"queue.buffering.max.messages", "batch_events bounds the queue"},
    {"queue.buffering.max.kbytes", "batch_bytes bounds the queue"},
    {"delivery.report.only.error", "every report is needed"},
    {"log.queue", "log lines go to ours"},
    {"transactional.id", "there are no transactions"},
    {"bootstrap.servers", "use brokers"},
    {"metadata.broker.list", "use brokers"},
    {"security.protocol", "it follows from tls and username"},
    {"sasl.mechanism", "use sasl_mechanism"},
    {"sasl.mechanisms", "use sasl_mechanism"},
    {"sasl.username", "use username"},
    {"sasl.password", "use password"},
    {"ssl.ca.location", "use ca_file"},
    {"ssl.certificate.location", "use cert_file"},
    {"ssl.key.location", "use key_file"},
    {"enable.ssl.certificate.verification", "the server's certificate is always verified"},
    {"ssl.endpoint.identification.algorithm", "the server's name is always verified"},
    {"test.mock.num.brokers", "its events would go nowhere"},
};

class kafka_conf_writer {
 public:
  kafka_conf_writer(rd_kafka_conf_t* conf, std::string name)
      : conf_{conf}, name_{std::move(name)} {}

  /// `key` is ours, for messages; "" for values that can't be wrong. Only the first error counts.
  void set(std::string_view key, const std::string& property, const std::string& value) {
    std::array<char, 512> why{};
    const auto outcome =
        rd_kafka_conf_set(conf_, property.c_str(), value.c_str(), why.data(), why.size());
    if (outcome == RD_KAFKA_CONF_UNKNOWN) {
      fail(key, std::string{"librdkafka "} + rd_kafka_version_str() + " has no property '" +
                    property + "'; its CONFIGURATION.md lists them");
    } else if (outcome != RD_KAFKA_CONF_OK) {
      fail(key, "'" + property + "': " + why.data());
    }
  }
  void set_if(std::string_view key, const std::string& property, const std::string& value) {
    if (!value.empty()) set(key, property, value);
  }
  void fail(std::string_view key, std::string_view why) {
    if (failed_.empty())
      failed_ = "sinks." + name_ + "." + std::string{key} + ": " + std::string{why};
  }
  const std::string& failed() const { return failed_; }

 private:
  rd_kafka_conf_t* conf_;
  std::string name_;
  std::string failed_;
};

void kafka_set_credentials(kafka_conf_writer& out, const kafka_sink_settings& settings) {
  const auto& [ca_file, cert_file, key_file] = settings.certificates;
  const bool sasl = !settings.username.empty();
  if (sasl && settings.sasl_mechanism.empty())
    out.fail("sasl_mechanism", "needed beside username: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512");
  if (!sasl && !settings.sasl_mechanism.empty())
    out.fail("username", "needed beside sasl_mechanism");
  if (!settings.tls && !(ca_file + cert_file + key_file).empty())
    out.fail("tls", "must be true where ca_file, cert_file or key_file is set");
  if (cert_file.empty() != key_file.empty())
    out.fail("key_file", "cert_file and key_file go together");
  out.set("tls", "security.protocol",
          settings.tls ? (sasl ? "sasl_ssl" : "ssl") : (sasl ? "sasl_plaintext" : "plaintext"));
  if (sasl) {
    out.set("sasl_mechanism", "sasl.mechanisms", settings.sasl_mechanism);
    out.set("username", "sasl.username", settings.username);
    out.set("password", "sasl.password", settings.password);
  }
  if (settings.tls) {
    out.set("ca_file", "ssl.ca.location", ca_file.empty() ? "probe" : ca_file);
    out.set_if("cert_file", "ssl.certificate.location", cert_file);
    out.set_if("key_file", "ssl.key.location", key_file);
  }
}

void kafka_set_properties(kafka_conf_writer& out, const kafka_sink_settings& settings) {
  for (const auto& [property, value] : kafka_fixed)
    out.set("properties", std::string{property}, std::string{value});
  for (const auto& [property, value] : kafka_defaults)
    out.set("properties", std::string{property}, std::string{value});
  for (const auto& [property, value] : settings.properties) {
    const auto* owned = std::find_if(std::begin(kafka_owned), std::end(kafka_owned),
                                     [&](const auto& one) { return one.first == property; });
    if (owned != std::end(kafka_owned)) {
      out.fail("properties", "'" + property + "' can't be set: " + std::string{owned->second});
    } else {
      out.set("properties", property, value);
    }
  }
}

std::string kafka_topic_fault(const std::string& pattern) {
  const auto longest =
      outgoing_form::fill_template(pattern, std::string(max_stream_name_bytes, 'x'));
  if (longest.size() > kafka_max_topic_bytes)
    return "with a stream's name of 64 characters it would be longer than Kafka's 249";
  for (const char c : longest)
    if (!is_stream_name({&c, 1})) // the same characters
      return "a topic is made of a-z, A-Z, 0-9, '.', '_', '-' and {stream}";
  if (longest == "." || longest == "..") return "'.' and '..' are no topics";
  return {};
}

/// Without brokers librdkafka connects to nothing, but reads certificates and checks how
/// properties go together.
std::string kafka_start_fault(const rd_kafka_conf_t* checked) {
  kafka_ptr<rd_kafka_conf_t> conf{rd_kafka_conf_dup(checked)};
  rd_kafka_conf_set_log_cb(conf.get(), nullptr);
  std::array<char, 512> why{};
  const kafka_ptr<rd_kafka_t> producer{
      rd_kafka_new(RD_KAFKA_PRODUCER, conf.get(), why.data(), why.size())};
  if (!producer) return why.data();
  (void)conf.release();
  return {};
}

} // namespace

result<std::shared_ptr<kafka_shared>> make_kafka_shared(const kafka_sink_settings& settings,
                                                        const sink_context& context) {
  auto out = std::make_shared<kafka_shared>();
  out->name = context.name;
  out->topic = settings.topic.empty() ? std::string{kafka_default_topic} : settings.topic;
  out->source = context.event_source();
  out->conf.reset(rd_kafka_conf_new());

  kafka_conf_writer writer{out->conf.get(), context.name};
  if (settings.brokers.empty())
    writer.fail("brokers", "needed: \"host:9092\", several with commas");
  if (const auto why = kafka_topic_fault(out->topic); !why.empty()) writer.fail("topic", why);
  writer.set("kind", "client.id", "penstock-" + context.node_name);
  kafka_set_properties(writer, settings);
  kafka_set_credentials(writer, settings);
  if (writer.failed().empty())
    if (const auto why = kafka_start_fault(out->conf.get()); !why.empty())
      writer.fail("kind", "librdkafka can't start: " + why);
  writer.set_if("brokers", "bootstrap.servers", settings.brokers);
  if (!writer.failed().empty()) return error{errc::config, writer.failed()};

  return out;
}

} // namespace penstock
