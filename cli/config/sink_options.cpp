// The rows of the option table for sinks, and which kind has which.
#include "cli/config/sink_options.hpp"

#include "cli/config/options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace penstock {

namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t sink_KiB = 1024, sink_GiB = 1024 * 1024 * sink_KiB;
constexpr std::size_t max_sink_pairs = 32;
constexpr std::size_t min_sink_secret_chars = 1;

// The keys that not all kinds have.
struct sink_key {
  std::string_view key;
  std::string_view kinds; ///< with spaces around each
};
constexpr std::array sink_keys{
    sink_key{"url", " nats redis http "},
    sink_key{"stream", " nats kinesis "},
    sink_key{"subject", " nats "},
    sink_key{"brokers", " kafka "},
    sink_key{"topic", " kafka "},
    sink_key{"region", " kinesis sqs "},
    sink_key{"endpoint", " kinesis sqs "},
    sink_key{"queue_url", " sqs "},
    sink_key{"key", " redis "},
    sink_key{"max_len", " redis "},
    sink_key{"format", " http "},
    sink_key{"headers", " http "},
    sink_key{"properties", " kafka "},
    sink_key{"username", " nats redis kafka "},
    sink_key{"password", " nats redis kafka "},
    sink_key{"token", " nats "},
    sink_key{"credentials_file", " nats kinesis sqs "},
    sink_key{"profile", " kinesis sqs "},
    sink_key{"metadata_url", " kinesis sqs "},
    sink_key{"sasl_mechanism", " kafka "},
    sink_key{"tls", " kafka "},
    sink_key{"ca_file", " nats kafka redis http kinesis sqs "},
    sink_key{"cert_file", " nats kafka redis http "},
    sink_key{"key_file", " nats kafka redis http "},
};

constexpr std::string_view all_but_embedded = " nats kafka kinesis sqs redis http ";

text_check anything() {
  return [](const std::string& text) {
    return text.empty() ? std::string{"the text is empty"} : std::string{};
  };
}

// { Name = "value" }; an error names the entry but never repeats its value.
reader read_pairs(std::map<std::string, std::string>& field) {
  auto set = [&field](const toml::node& value, const reporter& report) {
    const auto* table = value.as_table();
    if (!table) return report(value, "the value is not a table");
    if (table->size() > max_sink_pairs)
      return report(value, fmt::format("more than {} entries", max_sink_pairs));
    std::map<std::string, std::string> pairs;
    for (const auto& [name, entry] : *table) {
      const auto* text = entry.as_string();
      const auto line_break = text && text->get().find_first_of("\r\n") != std::string::npos;
      if (!text || line_break)
        return report(entry, fmt::format("{} is not a text of one line", name.str()));
      pairs.emplace(name.str(), text->get());
    }
    field = std::move(pairs);
  };
  return {value_kind::tables, "a table of texts", std::move(set)};
}

std::vector<option> where_options(sink_settings& t) {
  return {
      {"sinks.NAME.url", read_text(t.url, "a URL", anything()), "", "nats://127.0.0.1:4222",
       "nats, redis, http: the server; tls://, rediss:// and https:// with TLS. nats: several with "
       "commas. http: {stream} stands for the stream's name."},
      {"sinks.NAME.stream", read_text(t.stream, "a name", anything()), "", "EVENTS",
       "nats: the JetStream stream that must take the events. kinesis: the data stream. Needed "
       "for kinesis."},
      {"sinks.NAME.subject", read_text(t.subject, "a subject", anything()), "events.{stream}",
       "ingest.{stream}", "nats: the subject; {stream} stands for the stream's name."},
      {"sinks.NAME.brokers", read_text(t.brokers, "addresses with commas between", anything()), "",
       "127.0.0.1:9092", "kafka: brokers to begin with. Needed."},
      {"sinks.NAME.topic", read_text(t.topic, "a topic", anything()), "events-{stream}",
       "ingest.{stream}", "kafka: the topic; {stream} stands for the stream's name."},
      {"sinks.NAME.region", read_text(t.region, "a region", anything()), "", "eu-west-1",
       "kinesis, sqs: AWS's region; sqs may have it in queue_url."},
      {"sinks.NAME.endpoint", read_text(t.endpoint, "a URL", anything()), "",
       "http://127.0.0.1:4567", "kinesis, sqs: only to leave AWS's own address."},
      {"sinks.NAME.queue_url", read_text(t.queue_url, "a URL", anything()), "",
       "https://sqs.eu-west-1.amazonaws.com/123456789012/events.fifo",
       "sqs: the queue; one that ends in .fifo keeps order and drops repeats. Needed."},
      {"sinks.NAME.key", read_text(t.key, "a key", anything()), "events:{stream}",
       "ingest:{stream}", "redis: the stream's key; {stream} stands for the stream's name."},
      {"sinks.NAME.max_len", read_number(t.max_len, 0, 1'000'000'000'000), "0", "1000000",
       "redis: about how many entries the stream keeps; 0: all."},
      {"sinks.NAME.format",
       read_choice(t.format, choices<std::string>{{"ndjson", "ndjson"},
                                                  {"cloudevents-batch", "cloudevents-batch"}}),
       "ndjson", "cloudevents-batch",
       "http: lines of JSON, or CloudEvents, by whose ids another Penstock drops repeats."},
      {"sinks.NAME.headers", read_pairs(t.headers), "{}",
       "{ Authorization = \"Bearer psk_live_…\" }", "http: headers of each request."},
      {"sinks.NAME.properties", read_pairs(t.properties), "{}", "{ \"linger.ms\" = \"5\" }",
       "kafka: librdkafka's own settings, by its names."},
      {"sinks.NAME.source", read_text(t.source, "a URI reference", anything()), "/penstock/NODE",
       "/penstock/eu", "The source of CloudEvents that are made here."},
  };
}

std::vector<option> credential_options(sink_settings& t) {
  return {
      {"sinks.NAME.username", read_text(t.username, "a name", anything()), "", "ingest",
       "nats, redis, kafka: who we are."},
      {"sinks.NAME.password", read_secret(t.password, min_sink_secret_chars), "", "…",
       "nats, redis, kafka; best given by the environment."},
      {"sinks.NAME.token", read_secret(t.token, min_sink_secret_chars), "", "…",
       "nats: a token in place of a name and password."},
      {"sinks.NAME.credentials_file", read_text(t.credentials_file, "a path", anything()), "",
       "/etc/penstock/nats.creds",
       "nats: a .creds file. kinesis, sqs: the shared credentials file, "
       "if it is not ~/.aws/credentials."},
      {"sinks.NAME.profile", read_text(t.profile, "a name", anything()), "", "ingest",
       "kinesis, sqs: the profile in the shared credentials file."},
      {"sinks.NAME.metadata_url", read_text(t.metadata_url, "a URL", anything()), "",
       "http://169.254.169.254",
       "kinesis, sqs: ask the instance's metadata service for credentials."},
      {"sinks.NAME.sasl_mechanism",
       read_choice(t.sasl_mechanism, choices<std::string>{{"", ""},
                                                          {"PLAIN", "PLAIN"},
                                                          {"SCRAM-SHA-256", "SCRAM-SHA-256"},
                                                          {"SCRAM-SHA-512", "SCRAM-SHA-512"}}),
       "", "SCRAM-SHA-512", "kafka: how username and password are used."},
      {"sinks.NAME.tls", read_flag(t.tls), "false", "true",
       "kafka: connect with TLS. Other kinds say so in their URL."},
      {"sinks.NAME.ca_file", read_text(t.ca_file, "a path", anything()), "", "/etc/penstock/ca.pem",
       "Authorities that may vouch for the server; the system's if unset."},
      {"sinks.NAME.cert_file", read_text(t.cert_file, "a path", anything()), "",
       "/etc/penstock/client.pem", "nats, kafka, redis, http: our certificate."},
      {"sinks.NAME.key_file", read_text(t.key_file, "a path", anything()), "",
       "/etc/penstock/client.key", "nats, kafka, redis, http: its key."},
  };
}

std::vector<option> delivery_options(delivery_settings& t) {
  return {
      {"sinks.NAME.lanes", read_number(t.lanes, 1, 64), "4", "16",
       "Batches under way at one time; all events of a client go through the same lane."},
      {"sinks.NAME.batch_events", read_number(t.batch_events, 0, 10'000), "0", "500",
       "Most events in a batch; 0: as suits the kind."},
      {"sinks.NAME.batch_bytes", read_size(t.batch_bytes, 0, sink_GiB), "0B", "256KiB",
       "Most bytes of bodies in a batch; 0B: as suits the kind."},
      {"sinks.NAME.linger", read_duration(t.linger_ms, 0ms, 1min), "5ms", "100ms",
       "How long a batch that is not full waits for more."},
      {"sinks.NAME.timeout", read_duration(t.timeout_ms, 100ms, 10min), "10s", "30s",
       "How long a batch may take to be confirmed; then it is tried again."},
      {"sinks.NAME.retry_min", read_duration(t.retry_min_ms, 1ms, 1min), "100ms", "1s",
       "The pause after a first failure; each further one is twice as long."},
      {"sinks.NAME.retry_max", read_duration(t.retry_max_ms, 1ms, 1h), "30s", "5m",
       "The longest pause between tries."},
      {"sinks.NAME.max_tries", read_number(t.max_tries, 1, 1000), "5", "1",
       "How often an event is offered that the sink refuses for what it is; then it becomes a dead "
       "letter. Outages do not count."},
      {"sinks.NAME.missing_target_after", read_duration(t.missing_target_after_ms, 0ms, 30 * 24h),
       "10m", "1h",
       "How long a stream waits for a topic, queue, subject or path of its own that is not there; "
       "then its events are dead letters. 0s: for ever."},
  };
}

} // namespace

std::vector<option> sink_options(sink_settings& target) {
  std::vector<option> rows{
      {"sinks.NAME.kind",
       read_choice(target.kind, choices<std::string>{{"embedded", "embedded"},
                                                     {"nats", "nats"},
                                                     {"kafka", "kafka"},
                                                     {"kinesis", "kinesis"},
                                                     {"sqs", "sqs"},
                                                     {"redis", "redis"},
                                                     {"http", "http"}}),
       "embedded", "nats",
       "What it is; the other keys are of the kinds that they name. The embedded queue, which "
       "consumers read through the admin plane, has none."}};
  for (auto more :
       {where_options(target), delivery_options(target.delivery), credential_options(target)})
    std::move(more.begin(), more.end(), std::back_inserter(rows));
  return rows;
}

bool sink_kind_has(std::string_view kind, std::string_view key) {
  if (key == "kind") return true;
  const auto found = std::find_if(sink_keys.begin(), sink_keys.end(),
                                  [&](const sink_key& known) { return known.key == key; });
  const auto kinds = found == sink_keys.end() ? all_but_embedded : found->kinds;
  return kinds.find(fmt::format(" {} ", kind)) != kinds.npos;
}

std::string_view missing_sink_key(const sink_settings& t) {
  if (t.kind == "nats" || t.kind == "redis" || t.kind == "http") return t.url.empty() ? "url" : "";
  if (t.kind == "kafka") return t.brokers.empty() ? "brokers" : "";
  if (t.kind == "kinesis" && t.stream.empty()) return "stream";
  if (t.kind == "kinesis") return t.region.empty() ? "region" : "";
  if (t.kind == "sqs") return t.queue_url.empty() ? "queue_url" : "";
  return "";
}

} // namespace penstock
