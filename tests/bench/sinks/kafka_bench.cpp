// The kafka sink beside a plain producer of librdkafka: same records, same settings, same brokers.
// Usage: kafka_bench --brokers A [--events N] [--lanes L]; kafka_mock or a real cluster serves. The
// two take turns; prints a line of JSON for each and the ratio of the best ones.
#include "net/sinks/kafka/kafka_sink.hpp"
#include "net/sinks/outgoing_form.hpp"

#include <CLI/CLI.hpp>
#include <librdkafka/rdkafka.h>

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

using namespace penstock;

namespace {

struct bench_options {
  std::string brokers;
  std::string topic = "bench";
  std::uint64_t events = 200'000;
  std::uint32_t lanes = 4;
  std::uint32_t batch_events = 0;
  std::size_t bytes = 300;
  std::uint32_t rounds = 3;
};

constexpr std::uint64_t clients = 1000;
constexpr std::uint32_t block_events = 1000;
constexpr std::chrono::seconds batch_timeout{30};

/// Events whose clients are those of one lane, a block at a time.
std::vector<outgoing_event> lane_events(const bench_options& how, std::uint32_t lane) {
  std::vector<outgoing_event> out;
  const auto count = how.events / how.lanes;
  std::uint64_t client = lane;
  while (out.size() < count) {
    auto block = std::make_shared<event_block>();
    block->first_seq = 1 + out.size();
    block->time_ms = 1'700'000'000'123;
    block->stream = "bench";
    for (std::uint32_t i = 0; i < block_events; ++i, client = (client + how.lanes) % clients)
      block->push(std::string(how.bytes, 'x'), "application/json", client * 0x9e3779b97f4a7c15);
    for (std::uint32_t i = 0; i < block_events && out.size() < count; ++i)
      out.push_back({block, i});
  }
  return out;
}

double cpu_s() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

/// Events a second.
template <class F>
double timed(const char* what, std::uint64_t events, F&& work) {
  const auto cpu = cpu_s();
  const auto began = std::chrono::steady_clock::now();
  const bool complete = work();
  const double took =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  const auto rate = static_cast<double>(events) / took;
  std::printf("{\"what\":\"%s\",\"events_per_s\":%.0f,\"seconds\":%.3f,\"cpu_us_per_event\":%.2f,"
              "\"complete\":%s}\n",
              what, rate, took, (cpu_s() - cpu) * 1e6 / static_cast<double>(events),
              complete ? "true" : "false");
  return rate;
}

bool run_sink(const bench_options& how, const std::vector<std::vector<outgoing_event>>& all) {
  kafka_sink_settings settings;
  settings.brokers = how.brokers;
  settings.topic = how.topic;
  const auto made = make_kafka_sink(settings, {.name = "bench", .node_name = "bench"});
  if (!made) return std::fprintf(stderr, "%s\n", made.error().message.c_str()), false;
  const std::size_t size = how.batch_events ? how.batch_events : (*made)->traits().batch_events;
  std::atomic<std::size_t> delivered{0};
  std::vector<std::thread> lanes;
  for (const auto& events : all)
    lanes.emplace_back([&] {
      const auto lane = (*made)->connect();
      sink_batch batch{.stream = "bench", .tag = "nbjoxe3h", .again = "", .lane = "", .events = {}};
      for (std::size_t from = 0; from < events.size(); from += size) {
        const auto to = std::min(events.size(), from + size);
        batch.events.assign(events.begin() + static_cast<std::ptrdiff_t>(from),
                            events.begin() + static_cast<std::ptrdiff_t>(to));
        const auto got = lane->deliver(batch, batch_timeout);
        if (!got.failure.empty()) std::fprintf(stderr, "%s\n", got.failure.c_str());
        delivered += static_cast<std::size_t>(
            std::count(got.events.begin(), got.events.end(), settled_as::delivered));
      }
    });
  for (auto& lane : lanes)
    lane.join();
  return delivered == how.events / how.lanes * how.lanes;
}

/// Nothing but the records: keys and headers were made before.
bool run_floor(const bench_options& how, const std::vector<std::vector<outgoing_event>>& all) {
  outgoing_form form{"/penstock/bench"};
  const sink_batch batch{
      .stream = "bench", .tag = "nbjoxe3h", .again = "", .lane = "", .events = {}};
  const auto headers = form.attributes(all[0][0], batch);
  auto* conf = rd_kafka_conf_new();
  for (const auto& [name, value] : {std::pair{"bootstrap.servers", how.brokers.c_str()},
                                    {"enable.idempotence", "true"},
                                    {"partitioner", "murmur2_random"},
                                    {"queue.buffering.max.messages", "10000000"}})
    rd_kafka_conf_set(conf, name, value, nullptr, 0);
  static std::atomic<std::uint64_t> confirmed;
  confirmed = 0;
  rd_kafka_conf_set_dr_msg_cb(conf, [](rd_kafka_t*, const rd_kafka_message_t* m, void*) {
    if (!m->err) ++confirmed;
  });
  auto* producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, nullptr, 0);
  auto* topic = rd_kafka_topic_new(producer, how.topic.c_str(), nullptr);
  std::uint64_t sent = 0;
  for (const auto& events : all) {
    for (const auto& event : events) {
      const auto key = outgoing_form::client_key(event);
      auto* list = rd_kafka_headers_new(headers.size() + 2);
      rd_kafka_header_add(list, "content-type", -1, "application/json", -1);
      rd_kafka_header_add(list, "penstockid", -1, "000000000000000b-nbjoxe3h", -1);
      for (const auto& [name, value] : headers)
        rd_kafka_header_add(list, name.c_str(), static_cast<ssize_t>(name.size()), value.data(),
                            static_cast<ssize_t>(value.size()));
      rd_kafka_vu_t parts[4]{};
      parts[0].vtype = RD_KAFKA_VTYPE_RKT;
      parts[0].u.rkt = topic;
      parts[1].vtype = RD_KAFKA_VTYPE_KEY;
      parts[1].u.mem = {const_cast<char*>(key.data()), key.size()};
      parts[2].vtype = RD_KAFKA_VTYPE_VALUE;
      parts[2].u.mem = {const_cast<char*>(event.body().data()), event.body().size()};
      parts[3].vtype = RD_KAFKA_VTYPE_HEADERS;
      parts[3].u.headers = list;
      if (rd_kafka_produceva(producer, parts, 4)) return false;
      if (++sent % block_events == 0) rd_kafka_poll(producer, 0);
    }
  }
  rd_kafka_flush(producer, 60'000);
  rd_kafka_topic_destroy(topic);
  rd_kafka_destroy(producer);
  return confirmed == sent;
}

} // namespace

int main(int argc, char** argv) {
  bench_options how;
  CLI::App app{"The kafka sink beside a plain producer"};
  app.add_option("--brokers", how.brokers)->required();
  app.add_option("--topic", how.topic);
  app.add_option("--events", how.events);
  app.add_option("--lanes", how.lanes)->check(CLI::Range(1, 64));
  app.add_option("--batch-events", how.batch_events);
  app.add_option("--bytes", how.bytes);
  app.add_option("--rounds", how.rounds);
  CLI11_PARSE(app, argc, argv);
  std::vector<std::vector<outgoing_event>> all;
  for (std::uint32_t lane = 0; lane < how.lanes; ++lane)
    all.push_back(lane_events(how, lane));
  const auto events = how.events / how.lanes * how.lanes;
  double floor = 0, sink = 0;
  for (std::uint32_t round = 0; round < how.rounds; ++round) {
    floor = std::max(floor, timed("floor", events, [&] { return run_floor(how, all); }));
    sink = std::max(sink, timed("sink", events, [&] { return run_sink(how, all); }));
  }
  std::printf("{\"ratio\":%.2f}\n", sink / floor);
}
