#include "actors/cluster/cluster_settings.hpp"
#include "actors/streams/stream_settings.hpp"
#include "cli/config/identity_config.hpp"
#include "cli/config/options.hpp"
#include "cli/config/reload.hpp"
#include "config_support.hpp"
#include "net/clients/identity_settings.hpp"

#include <catch2/catch.hpp>

#include <unordered_map>

using namespace penstock;
using namespace penstock::test;
using namespace std::chrono_literals;
using Catch::Contains;

namespace {

constexpr auto contract_sample = R"([node]
name = "a"
data_dir = "./data"
[http]
listen = "127.0.0.1:8080"
threads = 0                       # 0: one a core
trusted_proxies = ["127.0.0.1/32"]
max_body = "1MiB"
[admin]
listen = "127.0.0.1:8081"
[identity]
order = ["bearer", "x-api-key", "query", "header:X-Client", "cookie:sid", "referer", "ip"]
[plans.anonymous]                 # the plan of clients without a key
limits = [
  { name = "burst", algorithm = "gcra", amount = 20, window = "1s", burst = 40 },
  { name = "daily", algorithm = "calendar", amount = 10000, window = "day" },
]
[streams.default]
ack = "journaled"
sinks = ["queue"]
[sinks.queue]
kind = "embedded"
[journal]
max_size = "10GiB"
[cluster]
name = "dev"
directory = "static"              # none | static | nats
listen = "127.0.0.1:4200"
peers = ["127.0.0.1:4201", "127.0.0.1:4202"]
on_owner_unreachable = "local"    # local | refuse
nats_url = "nats://127.0.0.1:4222"  # for directory = "nats"
[log]
level = "info"
format = "text"                   # text | json
)";

std::pair<std::string, std::string> plans_with_one_id() {
  std::unordered_map<std::uint32_t, std::string> seen;
  for (int i = 0;; ++i) {
    const auto name = "p" + std::to_string(i);
    const auto [other, fresh] = seen.emplace(plan_id(name), name);
    if (!fresh) return {other->second, name};
  }
}

} // namespace

TEST_CASE("the contract's sample loads") {
  const auto loaded = load_text(contract_sample);
  REQUIRE(errors_of(contract_sample) == "");
  const auto& c = *loaded;
  CHECK(c.node_name == "a");
  CHECK(c.http.trusted_proxies == std::vector<std::string>{"127.0.0.1/32"});
  CHECK(c.http.max_body_bytes == 1u << 20);
  REQUIRE(c.identity.order.size() == 7);
  CHECK(c.identity.order[3].source == identity_source::header);
  CHECK(c.identity.order[3].name == "x-client");
  CHECK(c.identity.order[4].name == "sid");
  const auto& limits = c.plans.at("anonymous").limits;
  REQUIRE(limits.size() == 2);
  CHECK(limits[0] == limit{"burst", algorithm::gcra, 20, 1'000'000'000, 40, calendar_unit::day});
  CHECK(limits[1] == limit{"daily", algorithm::calendar, 10'000, 0, 0, calendar_unit::day});
  CHECK(c.cluster.directory == directory_kind::static_peers);
  CHECK(c.cluster.peers.size() == 2);
  CHECK(c.journal.max_size_bytes == 10ull << 30);
}

TEST_CASE("without a file there are safe defaults") {
  const auto loaded = load_config({});
  REQUIRE(loaded.has_value());
  const auto& limits = loaded->plans.at("anonymous").limits;
  REQUIRE(limits.size() == 1);
  CHECK(limits[0] ==
        limit{"default", algorithm::gcra, 100, 1'000'000'000, 200, calendar_unit::day});
  CHECK(loaded->plans.at("anonymous").name == "anonymous");
  CHECK(loaded->streams.at("default") == stream_settings{});
  CHECK(loaded->sinks.at("queue") == sink_settings{});
}

// Each row's fallback is a text of its own; it must say what the struct's initialiser says.
TEST_CASE("the table's defaults are those of the settings") {
  const auto loaded = *load_config({});
  const config plain;
  CHECK(loaded.node_name == plain.node_name);
  CHECK(loaded.data_dir == plain.data_dir);
  CHECK(loaded.drain_timeout_ms == plain.drain_timeout_ms);
  CHECK(loaded.http.listen == plain.http.listen);
  CHECK(loaded.http.threads == plain.http.threads);
  CHECK(loaded.http.trusted_proxies == plain.http.trusted_proxies);
  CHECK(loaded.http.max_body_bytes == plain.http.max_body_bytes);
  CHECK(loaded.http.max_header_bytes == plain.http.max_header_bytes);
  CHECK(loaded.http.max_connections == plain.http.max_connections);
  CHECK(loaded.http.max_connections_per_address == plain.http.max_connections_per_address);
  CHECK(loaded.http.client_address_from == plain.http.client_address_from);
  CHECK(loaded.identity.refuse_anonymous == plain.identity.refuse_anonymous);
  CHECK(loaded.http.max_pipeline == plain.http.max_pipeline);
  CHECK(loaded.http.max_batch_events == plain.http.max_batch_events);
  CHECK(loaded.http.max_in_flight_bytes == plain.http.max_in_flight_bytes);
  CHECK(loaded.http.header_timeout_ms == plain.http.header_timeout_ms);
  CHECK(loaded.http.body_timeout_ms == plain.http.body_timeout_ms);
  CHECK(loaded.http.idle_timeout_ms == plain.http.idle_timeout_ms);
  CHECK(loaded.http.write_timeout_ms == plain.http.write_timeout_ms);
  CHECK(loaded.admin.listen == plain.admin.listen);
  CHECK(loaded.admin.token == plain.admin.token);
  CHECK(loaded.admin.hosts == plain.admin.hosts);
  REQUIRE(loaded.identity.order.size() == plain.identity.order.size());
  CHECK(loaded.identity.order[0].source == plain.identity.order[0].source);
  CHECK(loaded.identity.ipv4_prefix == plain.identity.ipv4_prefix);
  CHECK(loaded.identity.ipv6_prefix == plain.identity.ipv6_prefix);
  CHECK(loaded.limiter.max_clients == plain.limiter.max_clients);
  CHECK(loaded.queue.max_in_flight == plain.queue.max_in_flight);
  CHECK(loaded.queue.memory_bytes == plain.queue.memory_bytes);
  CHECK(loaded.queue.default_lease_ms == plain.queue.default_lease_ms);
  CHECK(loaded.journal.max_size_bytes == plain.journal.max_size_bytes);
  CHECK(loaded.journal.segment_size_bytes == plain.journal.segment_size_bytes);
  CHECK(loaded.journal.retention_ms == plain.journal.retention_ms);
  CHECK(loaded.journal.received_delay_ms == plain.journal.received_delay_ms);
  CHECK(loaded.cluster.name == plain.cluster.name);
  CHECK(loaded.cluster.directory == plain.cluster.directory);
  CHECK(loaded.cluster.listen == plain.cluster.listen);
  CHECK(loaded.cluster.peers == plain.cluster.peers);
  CHECK(loaded.cluster.on_owner_unreachable == plain.cluster.on_owner_unreachable);
  CHECK(loaded.cluster.secret == plain.cluster.secret);
  CHECK(loaded.cluster.verdict_timeout_ms == plain.cluster.verdict_timeout_ms);
  CHECK(loaded.cluster.reconnect_interval_ms == plain.cluster.reconnect_interval_ms);
  CHECK(loaded.log.level == plain.log.level);
  CHECK(loaded.log.format == plain.log.format);
}

TEST_CASE("--set beats the environment, which beats the file, which beats the defaults") {
  const std::string file = "[http]\nmax_body = '2MiB'\nthreads = 2\nmax_pipeline = 2\n";
  config_sources sources;
  sources.environment = {{"PENSTOCK_HTTP_THREADS", "3"}, {"PENSTOCK_HTTP_MAX_PIPELINE", "3"}};
  sources.sets = {"http.max_pipeline=4", "http.max_pipeline=5"};
  const auto loaded = load_text(file, sources);
  REQUIRE(loaded.has_value());
  CHECK(loaded->http.max_header_bytes == 16u << 10);
  CHECK(loaded->http.max_body_bytes == 2u << 20);
  CHECK(loaded->http.threads == 3);
  CHECK(loaded->http.max_pipeline == 5);
}

TEST_CASE("every row can be set by environment and --set with its example") {
  config scratch;
  for (const auto& row : node_options(scratch)) {
    if (row.key == "cluster.directory") continue; // needs peers
    CAPTURE(row.key);
    config_sources by_environment, by_set;
    by_environment.environment = {{environment_name(row.key), row.example}};
    by_set.sets = {row.key + "=" + row.example};
    CHECK(load_config(by_environment).has_value());
    CHECK(load_config(by_set).has_value());
    CHECK(errors_of("[" + row.key.substr(0, row.key.find('.')) + "]\n" +
                    row.key.substr(row.key.find('.') + 1) + " = " + as_toml(row, row.example)) ==
          "");
  }
}

TEST_CASE("values from outside a file need quotes only where it would be unclear") {
  config_sources sources;
  sources.sets = {"http.trusted_proxies=[\"10.0.0.0/8\"]",
                  "node.name=123",
                  "log.format=\"json\"",
                  "identity.order=header:X-A, ip",
                  "streams.default.max_body=64KiB",
                  "plans.pro.limits=[]",
                  "admin.token="};
  sources.environment = {{"PENSTOCK_STREAMS_ERRORS_ACK", "received"},
                         {"PENSTOCK_SERVICE_HOST", "10.0.0.1"},
                         {"PATH", "/bin"}};
  const auto loaded = load_config(sources);
  REQUIRE(loaded.has_value());
  CHECK(loaded->http.trusted_proxies == std::vector<std::string>{"10.0.0.0/8"});
  CHECK(loaded->node_name == "123");
  CHECK(loaded->log.format == "json");
  REQUIRE(loaded->identity.order.size() == 2);
  CHECK(loaded->identity.order[0].name == "x-a");
  CHECK(loaded->plans.at("pro").limits.empty());
  CHECK(loaded->streams.at("errors").ack == ack_level::received);
  CHECK(loaded->streams.at("errors").max_body_bytes == 64u << 10); // follows default
}

TEST_CASE("a bare number is bytes, wherever it stands") {
  config_sources sources;
  sources.sets = {"http.max_body=4096"};
  sources.environment = {{"PENSTOCK_STREAMS_DEFAULT_MAX_BODY", "2048"}};
  const auto loaded = load_text("[http]\nmax_header = 8192\n", sources);
  REQUIRE(loaded.has_value());
  CHECK(loaded->http.max_body_bytes == 4096);
  CHECK(loaded->http.max_header_bytes == 8192);
  CHECK(loaded->streams.at("default").max_body_bytes == 2048);
}

TEST_CASE("what a reload leaves for the next start is named") {
  const auto started = load_text("[http]\nmax_body = '1MiB'\n[streams.a]\nack = 'received'\n"
                                 "[sinks.out]\nkind = 'nats'\nurl = 'nats://127.0.0.1:4222'\n"
                                 "[journal]\nmax_size = '5GiB'\n");
  REQUIRE(started.has_value());
  CHECK(keys_left(*started, *started).empty());
  const auto now =
      load_text("[http]\nmax_body = '2MiB'\nunknown_streams = 'refuse'\n"
                "[streams.a]\nack = 'journaled'\nsinks = ['out']\n[log]\nlevel = 'debug'\n"
                "[sinks.out]\nkind = 'nats'\nurl = 'nats://127.0.0.1:4223'\n"
                "[plans.p]\nlimits = []\n[overrides.o]\naccount = 'a'\nplan = 'p'\n");
  REQUIRE(now.has_value());
  CHECK(keys_left(*started, *now) == std::vector<std::string>{"http.max_body", "journal.max_size",
                                                              "sinks.out.url", "streams.a.sinks"});
}

TEST_CASE("an environment variable means the name that the file has") {
  config_sources sources;
  sources.environment = {{"PENSTOCK_STREAMS_MY_STREAM_ACK", "received"}};
  const auto loaded = load_text("[streams.My-Stream]\nmax_body = '1KiB'\n", sources);
  REQUIRE(loaded.has_value());
  CHECK(loaded->streams.at("My-Stream").ack == ack_level::received);
  CHECK(loaded->streams.size() == 2);
}

TEST_CASE("a stream follows default in what it leaves out, wherever it stands") {
  const auto loaded = load_text("[streams.a]\nmax_body = '1KiB'\n"
                                "[streams.b]\n"
                                "[streams.default]\nack = 'received'\nmax_body = '2KiB'\n");
  REQUIRE(loaded.has_value());
  CHECK(loaded->streams.at("a").ack == ack_level::received);
  CHECK(loaded->streams.at("a").max_body_bytes == 1024);
  CHECK(loaded->streams.at("b").max_body_bytes == 2048);
}

TEST_CASE("what a published stream waits for, and which streams go first") {
  const auto loaded = load_text("[journal]\nhigh_watermark = 90\nlow_watermark = 60\n"
                                "[streams.orders]\nack = 'published'\npublish_timeout = '10ms'\n"
                                "on_publish_timeout = 'refuse'\n"
                                "[streams.traces]\nexpendable = true\n");
  REQUIRE(loaded.has_value());
  CHECK(loaded->journal.high_watermark == 90);
  CHECK(loaded->journal.low_watermark == 60);
  const auto& orders = loaded->streams.at("orders");
  CHECK(orders.ack == ack_level::published);
  CHECK(orders.publish_timeout_ms == std::chrono::milliseconds{10});
  CHECK(orders.on_publish_timeout == unpublished_policy::refuse);
  CHECK_FALSE(orders.expendable);
  CHECK(loaded->streams.at("traces").expendable);
  CHECK(loaded->streams.at("default").publish_timeout_ms == std::chrono::seconds{5});
}

TEST_CASE("a fixed list of peers has as many as a cluster may have members") {
  const auto listed = [](std::size_t first, std::size_t last) {
    std::string out = "[cluster]\ndirectory = 'static'\nlisten = '127.0.0.1:4200'\npeers = [";
    for (std::size_t i = first; i <= last; ++i)
      out += "'127.0.0.1:" + std::to_string(4200 + i) + "', ";
    return out + "]\n";
  };
  // All of a list that the nodes share, with this one, which leaves itself out.
  CHECK(load_text(listed(0, 255)).value().cluster.peers.size() == 255);
  CHECK(load_text(listed(1, 255)).value().cluster.peers.size() == 255);
  CHECK_THAT(errors_of(listed(1, 256)), Contains("there are 256 other nodes"));
  CHECK_THAT(errors_of(listed(0, 256)), Contains("256"));
}

TEST_CASE("a node leaves itself out of a shared list of peers") {
  const auto loaded = load_text("[cluster]\ndirectory = 'static'\nlisten = '127.0.0.1:4201'\n"
                                "peers = ['127.0.0.1:4200', '127.0.0.1:4201']\n");
  REQUIRE(loaded.has_value());
  CHECK(loaded->cluster.peers == std::vector<std::string>{"127.0.0.1:4200"});
}

TEST_CASE("a limit's scope, cost, shadow and rules are read") {
  config_sources sources;
  sources.sets = {R"(plans.pro.limits=[{ name = "traffic", cost = "byte", amount = "10MiB", )"
                  R"(window = "1h", burst = "4GiB", scope = "key", shadow = true, )"
                  R"(paths = ["/v1/events/a*"], methods = ["POST", "GET"] }, )"
                  R"({ name = "bytes", cost = "byte", amount = 1000, window = "1h", )"
                  R"(scope = "stream" }])"};
  const auto loaded = load_config(sources);
  REQUIRE(loaded.has_value());
  const auto& limits = loaded->plans.at("pro").limits;
  REQUIRE(limits.size() == 2);
  limit traffic{"traffic", algorithm::gcra, 10 << 20, 3'600'000'000'000, UINT32_MAX};
  traffic.scope = limit_scope::key;
  traffic.cost = limit_cost::byte;
  traffic.shadow = true;
  traffic.paths = {"/v1/events/a*"};
  traffic.methods = {"POST", "GET"};
  CHECK(limits[0] == traffic);
  CHECK(limits[1].amount == 1000);
  CHECK(limits[1].scope == limit_scope::stream);
}

TEST_CASE("plans whose names hash alike are told apart at once") {
  // Two names with the same XXH32, found by trying some hundred thousand.
  const auto [one, other] = plans_with_one_id();
  config_sources sources;
  sources.sets = {"plans." + one + ".limits=[]", "plans." + other + ".limits=[]"};
  const auto loaded = load_config(sources);
  REQUIRE_FALSE(loaded.has_value());
  CHECK(loaded.error().message.find("rename one of them") != std::string::npos);
}
