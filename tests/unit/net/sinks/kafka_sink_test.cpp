#include "net/sinks/kafka/kafka_sink.hpp"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <catch2/catch.hpp>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <thread>

using namespace penstock;
using namespace std::chrono_literals;

namespace {

constexpr int16_t kafka_produce_api = 0;

/// Takes a connection and never says anything.
class mute_broker {
 public:
  mute_broker() {
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(listener_, reinterpret_cast<sockaddr*>(&any), sizeof any) == 0);
    REQUIRE(::listen(listener_, 8) == 0);
    const timeval patience{20, 0}; // a broken test fails, and does not hang
    ::setsockopt(listener_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  mute_broker(const mute_broker&) = delete;
  mute_broker& operator=(const mute_broker&) = delete;
  ~mute_broker() {
    ::close(client_);
    ::close(listener_);
  }
  std::string address() const {
    sockaddr_in bound{};
    socklen_t size = sizeof bound;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&bound), &size);
    return "127.0.0.1:" + std::to_string(ntohs(bound.sin_port));
  }
  bool wait_for_client() {
    client_ = ::accept(listener_, nullptr, nullptr);
    return client_ >= 0;
  }

 private:
  int listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int client_ = -1;
};

/// Three brokers of librdkafka's mock cluster in this process.
class kafka_cluster {
 public:
  explicit kafka_cluster(int partitions = 2) {
    auto* conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "0", nullptr, 0);
    host_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf, nullptr, 0);
    cluster_ = rd_kafka_mock_cluster_new(host_, 3);
    rd_kafka_mock_topic_create(cluster_, "events-errors", partitions, 3);
  }
  kafka_cluster(const kafka_cluster&) = delete;
  kafka_cluster& operator=(const kafka_cluster&) = delete;
  ~kafka_cluster() {
    rd_kafka_mock_cluster_destroy(cluster_);
    rd_kafka_destroy(host_);
  }

  kafka_sink_settings settings() const {
    kafka_sink_settings out;
    out.brokers = rd_kafka_mock_cluster_bootstraps(cluster_);
    out.properties["log_level"] = "0";
    return out;
  }
  std::shared_ptr<sink> make(const kafka_sink_settings& how) const {
    return make_kafka_sink(how, {.name = "log", .node_name = "a"}).value();
  }
  std::shared_ptr<sink> make() const { return make(settings()); }

  void fail(rd_kafka_resp_err_t code, std::size_t times) {
    const std::vector<rd_kafka_resp_err_t> all(times, code);
    rd_kafka_mock_push_request_errors_array(cluster_, kafka_produce_api, all.size(), all.data());
  }
  rd_kafka_mock_cluster_t* get() { return cluster_; }

  /// How many records there were at the end of the last read.
  std::int64_t total() const { return total_; }
  /// Bodies by partition, in order, until `count` were read or 10 s are over.
  std::map<int, std::vector<std::string>> read(std::size_t count) {
    auto* conf = rd_kafka_conf_new();
    for (const auto& [name, value] :
         {std::pair{"bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster_)},
          {"group.id", "test"},
          {"auto.offset.reset", "earliest"},
          {"log_level", "0"}})
      rd_kafka_conf_set(conf, name, value, nullptr, 0);
    auto* consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, nullptr, 0);
    rd_kafka_poll_set_consumer(consumer);
    auto* from = rd_kafka_topic_partition_list_new(2);
    for (int i = 0; i < 2; ++i)
      rd_kafka_topic_partition_list_add(from, "events-errors", i)->offset = 0;
    rd_kafka_assign(consumer, from);
    rd_kafka_topic_partition_list_destroy(from);
    std::map<int, std::vector<std::string>> out;
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (count > 0 && std::chrono::steady_clock::now() < deadline) {
      auto* record = rd_kafka_consumer_poll(consumer, 50);
      if (!record) continue;
      if (!record->err) {
        out[record->partition].emplace_back(static_cast<const char*>(record->payload), record->len);
        --count;
      }
      rd_kafka_message_destroy(record);
    }
    total_ = 0;
    for (int i = 0; i < 2; ++i) {
      std::int64_t from_offset = 0, to_offset = 0;
      rd_kafka_query_watermark_offsets(consumer, "events-errors", i, &from_offset, &to_offset,
                                       5000);
      total_ += to_offset;
    }
    rd_kafka_destroy(consumer);
    return out;
  }

 private:
  rd_kafka_t* host_ = nullptr;
  rd_kafka_mock_cluster_t* cluster_ = nullptr;
  std::int64_t total_ = 0;
};

/// Events 1 to `count` of two clients in turn.
sink_batch kafka_batch(std::uint32_t count, std::size_t long_at = 0) {
  auto block = std::make_shared<event_block>();
  block->first_seq = 1;
  block->time_ms = 1'700'000'000'123;
  block->stream = "errors";
  for (std::uint32_t i = 1; i <= count; ++i)
    block->push(i == long_at ? std::string(1'100'000, 'x') : std::to_string(i), "text/plain",
                i % 2);
  sink_batch out{.stream = "errors", .tag = "nbjoxe3h", .again = "", .lane = "0/1", .events = {}};
  for (std::uint32_t i = 0; i < count; ++i)
    out.events.push_back({block, i});
  return out;
}

std::size_t kafka_count(const delivery& of, settled_as how) {
  return static_cast<std::size_t>(std::count(of.events.begin(), of.events.end(), how));
}

std::string kafka_config_error(const std::function<void(kafka_sink_settings&)>& change) {
  kafka_sink_settings settings;
  settings.brokers = "127.0.0.1:1";
  change(settings);
  const auto made = make_kafka_sink(settings, {.name = "log", .node_name = "a"});
  return made ? "" : made.error().message;
}

} // namespace

TEST_CASE("kafka: a batch arrives, each client's events in order in one partition") {
  kafka_cluster cluster;
  const auto to = cluster.make();
  const auto lane = to->connect();
  const auto got = lane->deliver(kafka_batch(100), 10s);
  INFO(got.failure);
  CHECK(kafka_count(got, settled_as::delivered) == 100);
  CHECK(got.failure.empty());
  for (const auto& [partition, bodies] : cluster.read(100)) {
    std::map<int, int> last;
    for (const auto& body : bodies) {
      const int n = std::stoi(body);
      CHECK(n > last[n % 2]);
      last[n % 2] = n;
    }
  }
}

TEST_CASE("kafka: errors that pass are not seen, and nothing comes twice") {
  kafka_cluster cluster;
  auto settings = cluster.settings();
  // One at a time, as the mock does not check sequence numbers.
  settings.properties["max.in.flight"] = "1";
  const auto to = cluster.make(settings);
  const auto lane = to->connect();
  cluster.fail(RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, 2);
  cluster.fail(RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, 1);
  cluster.fail(RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, 1);
  const auto got = lane->deliver(kafka_batch(10), 10s);
  INFO(got.failure);
  CHECK(kafka_count(got, settled_as::delivered) == 10);
}

TEST_CASE("kafka: what was not confirmed in time is never sent later") {
  kafka_cluster cluster;
  const auto to = cluster.make();
  const auto lane = to->connect();
  REQUIRE(kafka_count(lane->deliver(kafka_batch(2), 10s), settled_as::delivered) == 2);
  rd_kafka_mock_broker_set_down(cluster.get(), -1);
  const auto began = std::chrono::steady_clock::now();
  const auto got = lane->deliver(kafka_batch(10), 300ms);
  CHECK(kafka_count(got, settled_as::failed) == 10);
  CHECK_THAT(got.failure, Catch::StartsWith("not confirmed in time"));
  CHECK(std::chrono::steady_clock::now() - began < 3s);
  rd_kafka_mock_broker_set_up(cluster.get(), -1);
  CHECK(kafka_count(lane->deliver(kafka_batch(3), 10s), settled_as::delivered) == 3);
  cluster.read(5);
  CHECK(cluster.total() == 5);
}

TEST_CASE("kafka: an event that is too large is refused alone and holds back its client") {
  kafka_cluster cluster;
  const auto to = cluster.make();
  const auto lane = to->connect();
  const auto got = lane->deliver(kafka_batch(6, 3), 10s);
  using enum settled_as;
  CHECK(got.events == std::vector{delivered, delivered, refused, delivered, failed, delivered});
  CHECK_THAT(got.refusal, Catch::Contains("too large"));
  CHECK_FALSE(got.failure.empty());
}

TEST_CASE("kafka: a request that the broker refuses is taken apart") {
  kafka_cluster cluster;
  const auto to = cluster.make();
  const auto lane = to->connect();
  REQUIRE(kafka_count(lane->deliver(kafka_batch(2), 10s), settled_as::delivered) == 2);
  cluster.fail(RD_KAFKA_RESP_ERR_INVALID_RECORD, 1);
  auto got = lane->deliver(kafka_batch(6), 10s);
  INFO(got.failure << got.refusal);
  // The error came once: alone, every event passes, or waits for the next try.
  CHECK(kafka_count(got, settled_as::refused) == 0);
  CHECK(kafka_count(got, settled_as::delivered) >= 3);

  cluster.fail(RD_KAFKA_RESP_ERR_INVALID_RECORD, 100);
  got = lane->deliver(kafka_batch(6), 10s);
  CHECK(kafka_count(got, settled_as::refused) >= 1);
  CHECK(kafka_count(got, settled_as::refused) <= 2); // the first of each client
  CHECK(kafka_count(got, settled_as::delivered) == 0);
  CHECK_THAT(got.refusal, Catch::Contains("validate record"));
}

TEST_CASE("kafka: what is about the cluster refuses no event") {
  kafka_cluster cluster;
  const auto to = cluster.make();
  const auto lane = to->connect();
  cluster.fail(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, 1000);
  const auto got = lane->deliver(kafka_batch(4), 5s);
  CHECK(kafka_count(got, settled_as::failed) == 4);
  CHECK_THAT(got.failure, Catch::Contains("authorization failed"));
  rd_kafka_mock_clear_request_errors(cluster.get(), kafka_produce_api);
  CHECK(kafka_count(lane->deliver(kafka_batch(4), 10s), settled_as::delivered) == 4);
}

TEST_CASE("kafka: a topic that is not there is told at once, and is the stream's fault alone") {
  kafka_cluster brokers;
  rd_kafka_mock_topic_set_error(brokers.get(), "events-lost",
                                RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
  auto lost = kafka_batch(4);
  lost.stream = "lost";
  const auto made = brokers.make();
  const auto lane = made->connect();
  const auto before = std::chrono::steady_clock::now();
  const auto out = lane->deliver(lost, 60s);
  CHECK(std::chrono::steady_clock::now() - before < 30s); // it does not wait for the topic
  CHECK(out.events == std::vector(4, settled_as::failed));
  CHECK(out.scope == failure_scope::missing);
  CHECK(out.failure.starts_with("topic events-lost: "));
  CHECK(lane->deliver(kafka_batch(4), 20s).events == std::vector(4, settled_as::delivered));
  // The same topic for all streams is the sink's.
  auto settings = brokers.settings();
  settings.topic = "events-lost";
  CHECK(brokers.make(settings)->connect()->deliver(lost, 60s).scope == failure_scope::sink);
  rd_kafka_mock_topic_set_error(brokers.get(), "events-lost", RD_KAFKA_RESP_ERR_NO_ERROR);
  CHECK(lane->deliver(lost, 20s).events == std::vector(4, settled_as::delivered));
}

TEST_CASE("kafka: a stream's name that makes no topic is refused for good") {
  kafka_cluster brokers;
  auto settings = brokers.settings();
  settings.topic = "{stream}";
  auto batch = kafka_batch(2);
  batch.stream = "..";
  const auto out = brokers.make(settings)->connect()->deliver(batch, 20s);
  CHECK(out.events == std::vector(2, settled_as::refused));
  CHECK(out.is_final);
}

TEST_CASE("kafka: stop ends a delivery soon, and those that follow at once") {
  kafka_cluster cluster;
  mute_broker broker;
  auto settings = cluster.settings();
  settings.brokers = broker.address();
  const auto to = cluster.make(settings);
  const auto lane = to->connect();
  bool under_way = false;
  std::thread stopper{[&] {
    under_way = broker.wait_for_client();
    to->stop();
  }};
  const auto began = std::chrono::steady_clock::now();
  const auto got = lane->deliver(kafka_batch(4), 60s);
  stopper.join();
  CHECK(under_way);
  CHECK(kafka_count(got, settled_as::failed) == 4);
  CHECK(lane->deliver(kafka_batch(4), 60s).failure == "stopped");
  CHECK(std::chrono::steady_clock::now() - began < 10s);
}

TEST_CASE("kafka: lanes share a sink, not a producer") {
  kafka_cluster cluster;
  const auto to = cluster.make();
  std::vector<std::thread> lanes;
  std::atomic<std::size_t> delivered{0};
  for (int i = 0; i < 3; ++i)
    lanes.emplace_back([&] {
      const auto lane = to->connect();
      for (int batch = 0; batch < 5; ++batch)
        delivered += kafka_count(lane->deliver(kafka_batch(50), 10s), settled_as::delivered);
    });
  for (auto& lane : lanes)
    lane.join();
  CHECK(delivered == 750);
}

TEST_CASE("kafka: configuration errors name the key and the fix") {
  CHECK(kafka_config_error([](auto&) {}) == "");
  CHECK_THAT(kafka_config_error([](auto& s) { s.brokers.clear(); }),
             Catch::StartsWith("sinks.log.brokers: needed"));
  CHECK_THAT(kafka_config_error([](auto& s) { s.topic = "events/{stream}"; }),
             Catch::StartsWith("sinks.log.topic: a topic is made of"));
  CHECK_THAT(kafka_config_error([](auto& s) { s.topic = std::string(186, 'x') + "{stream}"; }),
             Catch::Contains("249"));
  CHECK_THAT(kafka_config_error([](auto& s) { s.properties["no.such"] = "1"; }),
             Catch::Contains("has no property 'no.such'"));
  CHECK_THAT(kafka_config_error([](auto& s) { s.properties["linger.ms"] = "long"; }),
             Catch::StartsWith("sinks.log.properties: ") && Catch::Contains("linger.ms"));
  CHECK_THAT(kafka_config_error([](auto& s) { s.properties["acks"] = "1"; }),
             Catch::Contains("'acks' can't be set: it is always all"));
  CHECK_THAT(kafka_config_error([](auto& s) { s.properties["max.in.flight"] = "6"; }),
             Catch::Contains("max.in.flight"));
  CHECK_THAT(kafka_config_error([](auto& s) { s.username = "u"; }),
             Catch::StartsWith("sinks.log.sasl_mechanism: needed"));
  CHECK_THAT(kafka_config_error([](auto& s) { s.certificates.ca_file = "/none"; }),
             Catch::StartsWith("sinks.log.tls: "));
  const auto no_file = kafka_config_error([](auto& s) {
    s.tls = true;
    s.certificates.ca_file = "/no/such/file";
    s.password = "a-secret";
  });
  CHECK_THAT(no_file, Catch::Contains("ca") && !Catch::Contains("a-secret"));
}
