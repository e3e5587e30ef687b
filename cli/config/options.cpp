#include "cli/config/options.hpp"

#include "actors/extensions/extensions.hpp"
#include "actors/idempotency/idempotency_settings.hpp"
#include "actors/usage/usage_settings.hpp"
#include "cli/config/address.hpp"
#include "cli/config/cluster_options.hpp"
#include "cli/config/extension_options.hpp"
#include "cli/config/identity_config.hpp"
#include "net/admin/gatekeeper.hpp"
#include "net/http/http_settings.hpp"

#include <algorithm>
#include <cctype>

namespace penstock {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t KiB = 1ull << 10;
constexpr std::uint64_t MiB = 1ull << 20;
constexpr std::uint64_t GiB = 1ull << 30;
constexpr std::uint64_t TiB = 1ull << 40;
constexpr std::chrono::milliseconds day = 24h;

constexpr std::size_t max_networks = 256;
constexpr std::size_t max_sinks_per_stream = 16;
constexpr std::size_t min_token_chars = 8;

std::string check_network(const std::string& text) {
  const auto network = parse_network(text);
  return network ? "" : quote(text) + " is not a network: " + network.error().message;
}

std::string check_admin_host(const std::string& text) {
  return parse_admin_host(text)
             ? ""
             : quote(text) + " is neither a name nor an address; write it without "
                             "a scheme and a path, like \"penstock.example.org\"";
}

std::string check_name(const std::string& text) {
  return is_name(text) ? "" : quote(text) + " is not a name";
}

std::string check_directory(const std::string& text) {
  return text.empty() ? "the path is empty" : "";
}

std::vector<option> http_options(http_settings& http) {
  return {
      {"http.listen", read_address(http.listen), "127.0.0.1:8080", "0.0.0.0:8080",
       "Where clients send events; port 0 takes any free port."},
      {"http.threads", read_number(http.threads, 0, 256), "0", "4",
       "Threads that serve clients; 0 is one a core."},
      {"http.trusted_proxies",
       read_list(http.trusted_proxies, "a list of networks", max_networks, check_network), "[]",
       "[\"10.0.0.0/8\", \"::1/128\"]",
       "Networks that are believed whom they speak for; others' word is ignored."},
      {"http.client_address_from",
       read_choice(http.client_address_from,
                   choices<client_address_source>{
                       {"x-forwarded-for", client_address_source::x_forwarded_for},
                       {"forwarded", client_address_source::forwarded},
                       {"none", client_address_source::none}},
                   {"proxy-protocol"}),
       "x-forwarded-for", "forwarded",
       "The one header of trusted proxies that names the client's address. All others are ignored, "
       "since a proxy that does not write a header passes on what clients write there."},
      {"http.max_body", read_size(http.max_body_bytes, 1, 256 * MiB), "1MiB", "4MiB",
       "Largest request body; a larger one gets 413."},
      {"http.max_header", read_size(http.max_header_bytes, 1 * KiB, MiB), "16KiB", "32KiB",
       "Largest request line and header together; a larger one gets 431."},
      {"http.max_connections", read_number(http.max_connections, 1, 1'000'000), "10000", "50000",
       "Connections open at once on this node; more are closed.", true},
      {"http.max_connections_per_address",
       read_number(http.max_connections_per_address, 0, 1'000'000), "0", "100",
       "Connections of one address open at once on this node, idle ones among them; more get 503 "
       "and are closed. Addresses are those of identity.ipv4_prefix and ipv6_prefix. Trusted "
       "proxies are exempt. 0: no bound but max_connections."},
      {"http.max_pipeline", read_number(http.max_pipeline, 1, 1024), "64", "16",
       "Requests under way at once on one connection; the next is read when one is answered."},
      {"http.max_batch_events", read_number(http.max_batch_events, 1, max_events_per_block),
       "10000", "1000", "Events in one request; more get 413."},
      {"http.max_in_flight", read_size(http.max_in_flight_bytes, 64 * KiB, TiB), "256MiB", "1GiB",
       "Held for clients on this node, from what arrives to answers unread; beyond it they get "
       "503.",
       true},
      {"http.unknown_streams",
       read_choice(http.others, choices<unknown_streams>{{"accept", unknown_streams::accept},
                                                         {"refuse", unknown_streams::refuse}}),
       "accept", "refuse",
       "Streams that are not configured: taken, up to 4096 names, or 404. \"default\" is always "
       "there."},
      {"http.header_timeout", read_duration(http.header_timeout_ms, 10ms, 1h), "10s", "5s",
       "From a request's first byte to the end of its header; then 408."},
      {"http.body_timeout", read_duration(http.body_timeout_ms, 10ms, 1h), "30s", "1m",
       "From the end of the header to the end of the body; then 408."},
      {"http.idle_timeout", read_duration(http.idle_timeout_ms, 10ms, day), "75s", "5m",
       "How long a connection may stay open with no request under way."},
      {"http.write_timeout", read_duration(http.write_timeout_ms, 10ms, 1h), "30s", "10s",
       "How long a client may leave an answer unread before it is cut off."},
  };
}

std::vector<option> admin_and_identity_options(config& c) {
  return {
      {"admin.listen", read_address(c.admin.listen), "127.0.0.1:8081", "127.0.0.1:9000",
       "Where operators and consumers connect; a loopback address in this version."},
      {"admin.token", read_secret(c.admin.token, min_token_chars), "", "u2mXkq7cVd0LrJ5s",
       "When set, the admin plane asks for Authorization: Bearer with this token."},
      {"admin.hosts",
       read_list(c.admin.hosts, "a list of names and addresses", max_admin_hosts, check_admin_host),
       "[]", "[\"penstock.example.org\", \"10.0.0.5:8081\"]",
       "What else than a loopback address a request to the admin plane may have as Host: the name "
       "of a proxy before it, say. Without a port, any port. Others get 421."},
      {"identity.order", read_identity_order(c.identity.order), "[\"ip\"]",
       "[\"header:X-Client\", \"cookie:sid\", \"ip\"]",
       "Who is calling: the first of these that a request has; the last must be \"ip\"."},
      {"identity.anonymous",
       read_choice(c.identity.refuse_anonymous, choices<bool>{{"accept", false}, {"refuse", true}}),
       "accept", "refuse",
       "Whether clients without an API key are served. With \"refuse\" they get 401, and an order "
       "that looks for no key begins with \"bearer\" and \"x-api-key\"."},
      {"identity.ipv4_prefix", read_number(c.identity.ipv4_prefix, 1, 32), "32", "24",
       "IPv4 addresses that share this many leading bits are one client."},
      {"identity.ipv6_prefix", read_number(c.identity.ipv6_prefix, 1, 128), "64", "56",
       "IPv6 addresses that share this many leading bits are one client."},
  };
}

std::vector<option> storage_options(config& c) {
  return {
      {"limiter.max_clients", read_number(c.limiter.max_clients, 1, 1'000'000'000), "10000000",
       "1000000", "Clients whose limits this node remembers; beyond it new ones get 503.", true},
      {"queue.max_in_flight", read_number(c.queue.max_in_flight, 1, 10'000'000), "100000", "1000",
       "Messages of one stream that consumers may hold unacknowledged."},
      {"queue.memory", read_size(c.queue.memory_bytes, 64 * KiB, TiB), "64MiB", "256MiB",
       "Recent events kept in memory for sinks that keep up; others read the disk.", true},
      {"queue.default_lease", read_duration(c.queue.default_lease_ms, 100ms, day), "30s", "5m",
       "How long a received message stays hidden from others when a receive does not say."},
      {"journal.max_size", read_size(c.journal.max_size_bytes, 1 * MiB, 1024 * TiB), "10GiB",
       "100GiB", "Cap on the journal's files; when it is reached clients get 507."},
      {"journal.high_watermark", read_number(c.journal.high_watermark, 1, 100), "80", "90",
       "Percent of max_size; above it streams with expendable = true get 507…"},
      {"journal.low_watermark", read_number(c.journal.low_watermark, 1, 100), "70", "50",
       "…until the journal is down to this percent again."},
      {"journal.segment_size", read_size(c.journal.segment_size_bytes, 256 * KiB, 4 * GiB), "64MiB",
       "128MiB", "A new segment is begun at about this size; space is freed by whole segments."},
      {"journal.unconfigured_max_size",
       read_size(c.journal.unconfigured_max_size_bytes, 0, 1024 * TiB), "0B", "1GiB",
       "How much all streams that are not configured may hold together, as streams.NAME.max_size; "
       "0B is a fifth of max_size. With ack = \"replicated\" for them, at most half of "
       "cluster.replica_max_size."},
      {"journal.retention", read_duration(c.journal.retention_ms, 0ms, 3650 * day), "0s", "1d",
       "How long events are kept after every sink has them, for reading again."},
      {"journal.received_delay", read_duration(c.journal.received_delay_ms, 0ms, 10s), "10ms",
       "50ms", "How long events of ack = \"received\" streams may wait to share an fsync."},
  };
}

std::vector<option> dead_letters_options(config& c) {
  return {
      {"dead_letters.max_size", read_size(c.dead_letters_max_bytes, 1 * MiB, 1024 * TiB), "1GiB",
       "10GiB",
       "Cap on the dead letters that are kept. When it is reached the sink's lanes that have "
       "another one wait, rather than lose it. Streams that are not configured may have a fifth "
       "of it together."}};
}

std::vector<option> usage_options(usage_settings& usage) {
  constexpr auto longest = 36'500 * day;
  return {
      {"usage.enabled", read_flag(usage.enabled), "true", "false",
       "Count requests, events, bytes and refusals by account, key, IP, Referer and stream."},
      {"usage.minute_retention", read_duration(usage.minute_retention_ms, 1h, longest), "2d", "12h",
       "How long usage is kept by the minute."},
      {"usage.hour_retention", read_duration(usage.hour_retention_ms, 1h, longest), "60d", "14d",
       "How long usage is kept by the hour."},
      {"usage.day_retention", read_duration(usage.day_retention_ms, day, longest), "730d", "365d",
       "How long usage is kept by the day; months are kept for ever."},
      {"usage.max_rows", read_number(usage.max_rows, 1000, 10'000'000'000), "20000000", "1000000",
       "Rows in usage.db, about 40 bytes each; beyond it the oldest minutes go first."},
  };
}

std::vector<option> idempotency_options(idempotency_settings& idempotency) {
  return {
      {"idempotency.window", read_duration(idempotency.window_ms, 1s, 90 * day), "24h", "1h",
       "How long a repeat of a request with a key, or of a CloudEvent, is recognised."},
      {"idempotency.max_keys", read_number(idempotency.max_keys, 0, 1'000'000'000), "1000000",
       "10000000",
       "Keys this node remembers, at about 50 bytes each; beyond it the oldest go. 0: none.", true},
  };
}

std::vector<option> node_and_log_options(config& c) {
  return {
      {"node.name", read_name(c.node_name), "node", "a", "This node's name in logs and metrics."},
      {"node.data_dir", read_text(c.data_dir, "a path", check_directory), "./data",
       "/var/lib/penstock", "Directory of the journal; one node at a time uses it."},
      {"node.memory", read_size_or_zero(c.memory_bytes, min_node_memory_bytes, 1024 * TiB), "0B",
       "512MiB",
       "What the node may use; bounds that are not set follow from it. 0B is what its cgroup "
       "allows, or else the machine's memory."},
      {"node.drain_delay", read_duration(c.drain_delay_ms, 0ms, 10min), "0s", "5s",
       "How long a drain goes on serving, not ready, before nobody new is let in: what a load "
       "balancer takes to notice."},
      {"node.drain_timeout", read_duration(c.drain_timeout_ms, 0ms, 1h), "30s", "10s",
       "How long a drain may take after that: for requests under way, shards, and what sinks are "
       "owed."},
      {"log.level",
       read_choice(c.log.level, choices<std::string>{{"trace", "trace"},
                                                     {"debug", "debug"},
                                                     {"info", "info"},
                                                     {"warn", "warn"},
                                                     {"error", "error"},
                                                     {"off", "off"}}),
       "info", "debug", "The least severe messages that are logged."},
      {"log.format",
       read_choice(c.log.format, choices<std::string>{{"text", "text"}, {"json", "json"}}), "text",
       "json", "Lines for people, or one JSON object a line."},
  };
}

} // namespace

std::vector<option> node_options(config& target, const std::vector<extension>& extra) {
  std::vector<option> rows;
  const auto add = [&rows](std::vector<option> more) {
    std::move(more.begin(), more.end(), std::back_inserter(rows));
  };
  add(node_and_log_options(target));
  add(http_options(target.http));
  add(admin_and_identity_options(target));
  add(storage_options(target));
  add(dead_letters_options(target));
  add(usage_options(target.usage));
  add(idempotency_options(target.idempotency));
  add(cluster_options(target.cluster));
  add(extension_options(target.extensions, extra));
  return rows;
}

std::vector<option> plan_options(plan& target) {
  return {
      {"plans.NAME.limits", read_limits(target.limits),
       "[{ name = \"default\", algorithm = \"gcra\", amount = 100, window = \"1s\", burst = 200 }]",
       "[{ name = \"daily\", algorithm = \"calendar\", amount = 10000, window = \"day\" }]",
       "What a client may send; a request passes only if every limit admits it. [] is no "
       "limit. Clients without a key have the plan \"anonymous\"."}};
}

std::vector<option> limit_options(limit_draft& target) {
  return {
      {"limits.name", read_name(target.name), "", "daily",
       "Names the limit in RateLimit headers; needed, and unique in its plan."},
      {"limits.algorithm", read_choice(target.kind, algorithm_names()), "gcra", "calendar",
       algorithm_summaries()},
      {"limits.amount", read_quantity(target.amount), "1", "10000",
       "Events or bytes admitted per window; needed, except for interval."},
      {"limits.window", read_window(target), "1s", "day",
       "A duration; for calendar \"hour\", \"day\" or \"month\". Needed."},
      {"limits.burst", read_quantity(target.burst), "the amount", "40",
       "Events or bytes admitted at once; only gcra has it."},
      {"limits.scope", read_choice(target.scope, scope_names()), "account", "key",
       "Whose use is counted: all of an account, each of its keys, or the account in each stream. "
       "Without a key the client is its own account."},
      {"limits.cost", read_choice(target.cost, cost_names()), "event", "byte",
       "What is counted: events, or the bytes of their bodies."},
      {"limits.shadow", read_flag(target.shadow), "false", "true",
       "Counts, and tells in metrics what it would have refused; refuses nothing."},
      {"limits.paths", read_paths(target.paths), "[]",
       "[\"/v1/events/errors\", \"/v1/events/app*\"]",
       "Only for requests to these paths; a '*' at the end stands for any rest. [] is all."},
      {"limits.methods", read_methods(target.methods), "[]", "[\"POST\"]",
       "Only for requests with these methods. [] is all."},
  };
}

std::vector<option> stream_options(stream_settings& target) {
  return {
      {"streams.NAME.ack",
       read_choice(target.ack, choices<ack_level>{{"received", ack_level::received},
                                                  {"journaled", ack_level::journaled},
                                                  {"replicated", ack_level::replicated},
                                                  {"published", ack_level::published}}),
       "journaled", "published",
       "What a 202 promises: the event is in this node's memory, on its disk, on the disks of two "
       "nodes, or in every sink of the stream."},
      {"streams.NAME.publish_timeout", read_duration(target.publish_timeout_ms, 10ms, 10min), "5s",
       "500ms", "With ack = \"published\": how long a request waits for the sinks."},
      {"streams.NAME.on_publish_timeout",
       read_choice(target.on_publish_timeout,
                   choices<unpublished_policy>{{"accept", unpublished_policy::accept},
                                               {"refuse", unpublished_policy::refuse}}),
       "accept", "refuse",
       "What it is answered then: 202 with \"ack\":\"journaled\", or 503 that says the same. The "
       "events are stored and will be published either way."},
      {"streams.NAME.replicate_timeout", read_duration(target.replicate_timeout_ms, 10ms, 10min),
       "2s", "500ms", "With ack = \"replicated\": how long a request waits for a second node."},
      {"streams.NAME.on_replicate_timeout",
       read_choice(target.on_replicate_timeout,
                   choices<unpublished_policy>{{"accept", unpublished_policy::accept},
                                               {"refuse", unpublished_policy::refuse}}),
       "accept", "refuse",
       "What it is answered then: 202 with \"ack\":\"journaled\", or 503 that says the same. The "
       "events are stored and will be published either way."},
      {"streams.NAME.expendable", read_flag(target.expendable), "false", "true",
       "Refused first: with 507 already above journal.high_watermark."},
      {"streams.NAME.sinks",
       read_list(target.sinks, "a list of sinks' names", max_sinks_per_stream, check_name),
       "[\"queue\"]", "[\"queue\"]", "Where its events go."},
      {"streams.NAME.max_body", read_size(target.max_body_bytes, 0, GiB), "0B", "64KiB",
       "Largest request body; 0B is as http.max_body."},
      {"streams.NAME.max_size", read_size(target.max_size_bytes, 0, 1024 * TiB), "0B", "1GiB",
       "How much of it may wait for its slowest sink: bodies, attributes, content types and 32 "
       "bytes "
       "an event; 0B is as much as there is room for. What is under way when it is reached "
       "(http.max_in_flight) comes on top, so keep it small beside journal.max_size."},
      {"streams.NAME.max_age", read_duration(target.max_age_ms, 0ms, 3650 * day), "0s", "7d",
       "How old the oldest event that waits for a sink may become; 0s is as old as it will."},
      {"streams.NAME.when_full",
       read_choice(target.when_full,
                   choices<full_stream_policy>{{"refuse", full_stream_policy::refuse},
                                               {"expire", full_stream_policy::expire}}),
       "refuse", "expire",
       "At max_size or max_age: new events of it are refused with 507, or the oldest are LOST, "
       "counted and logged, and refused only while none can be let go."},
  };
}

std::vector<option> override_options(override_settings& target) {
  const auto any_text = [](const std::string& text) {
    return text.empty() ? std::string{"the text is empty"} : std::string{};
  };
  return {
      {"overrides.NAME.account", read_text(target.account, "an account", any_text), "", "acme",
       "For all keys of this account."},
      {"overrides.NAME.client", read_text(target.client, "a text", any_text), "", "agent-7",
       "For the client that a header, a cookie or a Referer of identity.order says by this value."},
      {"overrides.NAME.ip", read_text(target.ip, "a network", check_network), "", "203.0.113.0/24",
       "For clients told apart by an address in this network; the smallest network counts."},
      {"overrides.NAME.plan", read_name(target.plan), "", "partner",
       "The plan that applies to them instead; one with limits = [] exempts them. Needed, unless "
       "they are denied."},
      {"overrides.NAME.deny", read_flag(target.deny), "false", "true",
       "They get 403. A denied network stays out with an API key, too; a smaller network with a "
       "plan is an exception from it."},
  };
}

std::string environment_name(std::string_view key) {
  std::string name = "PENSTOCK_";
  for (const char c : key) {
    const auto upper = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    name += upper == '.' || upper == '-' ? '_' : upper;
  }
  return name;
}

std::string as_toml(const option& row, const std::string& value) {
  return row.read.kind == value_kind::text ? '"' + value + '"' : value;
}

} // namespace penstock
