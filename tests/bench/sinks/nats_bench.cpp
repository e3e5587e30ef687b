// How fast events get into a JetStream stream: by a plain asynchronous publisher of libnats, the
// floor, and by the nats sink, in turns. Both send the same bodies and headers and wait for every
// confirmation. Prints each round, and the ratio of the best ones.
#include "net/sinks/nats/nats_sink.hpp"
#include "net/sinks/outgoing_form.hpp"

#include <CLI/CLI.hpp>
#include <nats/nats.h>

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

using namespace penstock;
using namespace std::chrono_literals;

namespace {

struct bench_plan {
  std::string url = "nats://127.0.0.1:4222";
  std::size_t events = 200'000;
  std::size_t bytes = 300;
  std::size_t lanes = 4;
  std::size_t batch = 1000;
  int rounds = 3;
  int replicas = 1;
};

void must(natsStatus status, const char* what) {
  if (status == NATS_OK) return;
  std::fprintf(stderr, "%s: %s\n", what, nats_GetLastError(nullptr));
  std::exit(1);
}

double cpu_s() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  return static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
         static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

class stream_under_test {
 public:
  explicit stream_under_test(const bench_plan& plan) {
    must(natsConnection_ConnectTo(&connection_, plan.url.c_str()), "connecting");
    must(natsConnection_JetStream(&context_, connection_, nullptr), "JetStream");
    js_DeleteStream(context_, "BENCH", nullptr, nullptr);
    jsStreamConfig config;
    jsStreamConfig_Init(&config);
    const char* subjects[] = {"bench.>"};
    config.Name = "BENCH";
    config.Subjects = subjects;
    config.SubjectsLen = 1;
    config.Replicas = plan.replicas;
    must(js_AddStream(nullptr, context_, &config, nullptr, nullptr), "adding the stream");
  }
  std::uint64_t messages() const {
    jsStreamInfo* info = nullptr;
    must(js_GetStreamInfo(&info, context_, "BENCH", nullptr, nullptr), "asking the stream");
    const auto count = info->State.Msgs;
    jsStreamInfo_Destroy(info);
    return count;
  }
  ~stream_under_test() {
    js_DeleteStream(context_, "BENCH", nullptr, nullptr);
    jsCtx_Destroy(context_);
    natsConnection_Destroy(connection_);
  }

 private:
  natsConnection* connection_ = nullptr;
  jsCtx* context_ = nullptr;
};

/// One lane's share of the events, in blocks as the journal gives them.
std::vector<sink_batch> batches_of(const bench_plan& plan, std::size_t lane) {
  std::vector<sink_batch> out;
  const std::string body(plan.bytes, 'x');
  auto seq = static_cast<std::uint64_t>(lane) * 1'000'000'000 + 1;
  for (std::size_t left = plan.events / plan.lanes; left > 0;) {
    const auto count = std::min(left, plan.batch);
    auto block = std::make_shared<event_block>();
    block->first_seq = seq;
    block->time_ms = 1'700'000'000'000;
    for (std::size_t i = 0; i < count; ++i)
      block->push(body, "application/octet-stream", lane * 1000 + i % 100);
    sink_batch batch{.stream = "s", .tag = "nbjoxe3h"};
    for (std::uint32_t i = 0; i < count; ++i)
      batch.events.push_back({block, i});
    out.push_back(std::move(batch));
    seq += count;
    left -= count;
  }
  return out;
}

void send_by_sink(const std::shared_ptr<sink>& to, const std::vector<sink_batch>& batches) {
  const auto connection = to->connect();
  for (const auto& batch : batches) {
    const auto outcome = connection->deliver(batch, 30s);
    for (const auto how : outcome.events)
      if (how != settled_as::delivered) {
        std::fprintf(stderr, "%s%s\n", outcome.failure.c_str(), outcome.refusal.c_str());
        std::exit(1);
      }
  }
}

std::atomic<std::size_t> floor_failures{0};
void count_failure(jsCtx*, jsPubAckErr*, void*) {
  ++floor_failures;
}

void send_plainly(const bench_plan& plan, const std::vector<sink_batch>& batches) {
  natsConnection* connection = nullptr;
  must(natsConnection_ConnectTo(&connection, plan.url.c_str()), "connecting");
  jsOptions options;
  jsOptions_Init(&options);
  options.PublishAsync.MaxPending = 4000;
  options.PublishAsync.StallWait = 30'000;
  options.PublishAsync.ErrHandler = count_failure;
  jsCtx* context = nullptr;
  must(natsConnection_JetStream(&context, connection, &options), "JetStream");
  for (const auto& batch : batches)
    for (const auto& event : batch.events) {
      natsMsg* message = nullptr;
      const auto body = event.body();
      const auto id = outgoing_form::id(event, batch);
      must(natsMsg_Create(&message, "bench.s", nullptr, body.data(), static_cast<int>(body.size())),
           "a message");
      natsMsgHeader_Set(message, "Nats-Msg-Id", id.c_str());
      natsMsgHeader_Set(message, "Nats-Expected-Stream", "BENCH");
      natsMsgHeader_Set(message, "ce-specversion", "1.0");
      natsMsgHeader_Set(message, "ce-id", id.c_str());
      natsMsgHeader_Set(message, "ce-source", "/penstock/bench");
      natsMsgHeader_Set(message, "ce-type", "penstock.s");
      natsMsgHeader_Set(message, "ce-time", "2023-11-14T22:13:20.000Z");
      natsMsgHeader_Set(message, "ce-partitionkey", outgoing_form::client_key(event).c_str());
      natsMsgHeader_Set(message, "ce-datacontenttype", "application/octet-stream");
      must(js_PublishMsgAsync(context, &message, nullptr), "publishing");
    }
  jsPubOptions wait;
  jsPubOptions_Init(&wait);
  wait.MaxWait = 30'000;
  must(js_PublishAsyncComplete(context, &wait), "waiting");
  jsCtx_Destroy(context);
  natsConnection_Destroy(connection);
}

/// Events a second.
double run(const bench_plan& plan, bool plainly) {
  const stream_under_test stream{plan};
  std::vector<std::vector<sink_batch>> shares;
  for (std::size_t lane = 0; lane < plan.lanes; ++lane)
    shares.push_back(batches_of(plan, lane));
  nats_sink_settings settings;
  settings.url = plan.url;
  settings.stream = "BENCH";
  settings.subject = "bench.{stream}";
  auto made = make_nats_sink(settings, {.name = "bench", .node_name = "bench"});
  if (!made) must(NATS_ERR, made.error().message.c_str());

  const auto cpu_before_s = cpu_s();
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::thread> threads;
  for (const auto& share : shares)
    threads.emplace_back([&] {
      if (plainly)
        send_plainly(plan, share);
      else
        send_by_sink(*made, share);
    });
  for (auto& thread : threads)
    thread.join();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  const auto sent = plan.events / plan.lanes * plan.lanes;
  const auto rate = static_cast<double>(sent) / took.count();
  std::printf("%-6s %9.0f events/s  %5.2f us CPU of ours an event\n", plainly ? "plain" : "sink",
              rate, (cpu_s() - cpu_before_s) / static_cast<double>(sent) * 1e6);
  if (stream.messages() != sent || floor_failures != 0) {
    std::fprintf(stderr, "the stream has %llu messages, not %zu\n",
                 static_cast<unsigned long long>(stream.messages()), sent);
    std::exit(1);
  }
  return rate;
}

} // namespace

int main(int argc, char** argv) {
  bench_plan plan;
  CLI::App app{"The nats sink beside a plain publisher"};
  app.add_option("--url", plan.url, "of a nats-server with JetStream")->capture_default_str();
  app.add_option("--events", plan.events, "a round")->capture_default_str();
  app.add_option("--bytes", plan.bytes, "of a body")->capture_default_str();
  app.add_option("--lanes", plan.lanes, "connections, each with a thread")->capture_default_str();
  app.add_option("--batch", plan.batch, "events")->capture_default_str();
  app.add_option("--rounds", plan.rounds, "of each")->capture_default_str();
  app.add_option("--replicas", plan.replicas, "of the stream")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  double plain = 0, sink = 0;
  for (int i = 0; i < plan.rounds; ++i) {
    plain = std::max(plain, run(plan, true));
    sink = std::max(sink, run(plan, false));
  }
  std::printf("ratio  %.2f\n", sink / plain);
  nats_Close();
  return 0;
}
