// How many events a second one lane of a request sink (http, kinesis, sqs) delivers, without a
// node:
//   request_sink_bench KIND EVENTS BATCH BODY_BYTES FIRST_NUMBER KEY=VALUE…
// Prints one line of JSON. Events are numbered from FIRST_NUMBER on; each has a client of its own.
#include "net/sinks/sink_kinds.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>

using namespace penstock;

namespace {

constexpr int max_tries = 100;

sink_settings settings_of(const char* kind, int count, char** pairs) {
  sink_settings out;
  out.kind = kind;
  for (int i = 0; i < count; ++i) {
    const std::string_view pair{pairs[i]};
    const auto name = pair.substr(0, pair.find('='));
    const std::string value{pair.substr(std::min(pair.size(), name.size() + 1))};
    if (name == "url") out.url = value;
    if (name == "format") out.format = value;
    if (name == "stream") out.stream = value;
    if (name == "region") out.region = value;
    if (name == "endpoint") out.endpoint = value;
    if (name == "queue_url") out.queue_url = value;
    if (name == "metadata_url") out.metadata_url = value;
  }
  return out;
}

sink_batch batch_from(std::uint64_t first, std::size_t events, std::size_t body_bytes) {
  auto block = std::make_shared<event_block>();
  block->first_seq = first;
  block->time_ms = 1'700'000'000'000;
  block->stream = "bench";
  const auto body = "{\"text\":\"" + std::string(body_bytes - 11, 'x') + "\"}";
  sink_batch out{.stream = "bench", .tag = "benchtag", .again = {}, .lane = "0/1", .events = {}};
  for (std::size_t i = 0; i < events; ++i)
    block->push(body, "application/json", (first + i) * 0x9e3779b97f4a7c15u);
  for (std::uint32_t i = 0; i < events; ++i)
    out.events.push_back({block, i});
  return out;
}

void keep_undelivered(sink_batch& batch, const delivery& outcome) {
  std::vector<outgoing_event> rest;
  for (std::size_t i = 0; i < batch.events.size(); ++i)
    if (outcome.events[i] != settled_as::delivered) rest.push_back(batch.events[i]);
  batch.events = std::move(rest);
}

} // namespace

int main(int argc, char** argv) {
  if (argc < 6) {
    std::fprintf(stderr, "usage: %s KIND EVENTS BATCH BODY_BYTES FIRST_NUMBER KEY=VALUE...\n",
                 argv[0]);
    return 64;
  }
  const auto made = make_sink(settings_of(argv[1], argc - 6, argv + 6), {"bench", "bench"});
  if (!made) {
    std::fprintf(stderr, "%s\n", made.error().message.c_str());
    return 78;
  }
  const auto events = std::strtoull(argv[2], nullptr, 10);
  const auto batch_events = std::strtoull(argv[3], nullptr, 10);
  const auto body_bytes = std::max(16ull, std::strtoull(argv[4], nullptr, 10));
  const auto first = std::strtoull(argv[5], nullptr, 10);
  const auto connection = (*made)->connect();
  const auto began = std::chrono::steady_clock::now();
  std::uint64_t repeats = 0;
  for (std::uint64_t done = 0; done < events; done += batch_events) {
    auto batch = batch_from(first + done, std::min(batch_events, events - done), body_bytes);
    for (int tries = 0; !batch.events.empty(); ++tries) {
      const auto outcome = connection->deliver(batch, std::chrono::seconds{10});
      keep_undelivered(batch, outcome);
      if (batch.events.empty()) break;
      repeats += batch.events.size();
      if (tries == max_tries) {
        std::fprintf(stderr, "%s%s\n", outcome.refusal.c_str(), outcome.failure.c_str());
        return 69;
      }
      std::this_thread::sleep_for(outcome.pause_ms);
    }
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  std::printf("{\"events\":%llu,\"seconds\":%.3f,\"events_per_s\":%.0f,\"repeats\":%llu}\n",
              static_cast<unsigned long long>(events), took.count(),
              static_cast<double>(events) / took.count(), static_cast<unsigned long long>(repeats));
  return 0;
}
