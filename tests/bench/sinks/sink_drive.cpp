// What a sink alone can do: lanes hand it batches without a journal or a publisher.
// Usage: sink_drive EVENTS BYTES LANES BATCH_EVENTS kind=redis url=redis://… key=events:{stream}
// `tag=` names the journal whose events these are said to be: another run's are others.
// Prints JSON. A batch that fails ends it: this measures, it does not try again.
#include "net/sinks/sink_kinds.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace penstock;

constexpr std::uint32_t clients_per_lane = 100;
constexpr std::chrono::seconds batch_timeout{10};

struct drive {
  std::uint64_t events = 0; ///< of a lane
  std::size_t bytes = 0;
  std::size_t batch_events = 0;
  std::uint32_t lanes = 1;
  std::string tag = "benchtag";
};

/// A batch whose numbers follow those before it, as a lane gets them.
sink_batch make_batch(const drive& how, std::uint32_t lane, std::uint64_t first) {
  auto block = std::make_shared<event_block>();
  block->first_seq = first;
  block->time_ms = 1'790'000'000'000;
  block->stream = "bench";
  block->content_types = {"application/json"};
  for (std::size_t i = 0; i < how.batch_events; ++i) {
    auto body = R"({"n":)" + std::to_string(first + i) + R"(,"pad":")";
    body.resize(std::max(body.size(), how.bytes - 2), 'x');
    block->push(body + R"("})", "application/json", lane * clients_per_lane + i % clients_per_lane);
  }
  sink_batch out;
  out.stream = block->stream;
  out.tag = how.tag;
  out.lane = std::to_string(lane) + '/' + std::to_string(how.lanes);
  for (std::uint32_t i = 0; i < how.batch_events; ++i)
    out.events.push_back({block, i});
  return out;
}

void run_lane(sink& to, const drive& how, std::uint32_t lane, std::atomic<std::uint64_t>& done) {
  const auto connection = to.connect();
  for (std::uint64_t sent = 0; sent < how.events; sent += how.batch_events) {
    const auto batch = make_batch(how, lane, lane * how.events + sent + 1);
    const auto got = connection->deliver(batch, batch_timeout);
    const auto taken = std::count(got.events.begin(), got.events.end(), settled_as::delivered);
    done += static_cast<std::uint64_t>(taken);
    if (static_cast<std::size_t>(taken) == got.events.size()) continue;
    std::fprintf(stderr, "%s%s\n", got.failure.c_str(), got.refusal.c_str());
    return;
  }
}

double cpu_s() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

} // namespace

int main(int argc, char** argv) {
  if (argc < 6) return std::fputs("usage: see the source\n", stderr), 64;
  drive how;
  how.lanes = std::max(1u, static_cast<std::uint32_t>(std::strtoul(argv[3], nullptr, 10)));
  how.events = std::strtoull(argv[1], nullptr, 10) / how.lanes;
  how.bytes = std::strtoull(argv[2], nullptr, 10);
  how.batch_events = std::clamp<std::size_t>(std::strtoull(argv[4], nullptr, 10), 1, 10'000);
  sink_settings settings;
  for (int i = 5; i < argc; ++i) {
    const std::string_view text{argv[i]};
    const auto equals = text.find('=');
    const auto name = text.substr(0, equals);
    if (equals == text.npos) return std::fprintf(stderr, "unknown: %s\n", argv[i]), 64;
    std::string value{text.substr(equals + 1)};
    if (name == "tag")
      how.tag = std::move(value);
    else if (name == "kind")
      settings.kind = std::move(value);
    else if (name == "source")
      settings.source = std::move(value);
    else
      settings.values[std::string{name}] = std::move(value);
  }
  const auto to = make_sink(settings, {.name = "bench", .node_name = "bench"});
  if (to.has_error()) return std::fprintf(stderr, "%s\n", to.error().message.c_str()), 78;
  std::atomic<std::uint64_t> done{0};
  const auto began = std::chrono::steady_clock::now();
  std::vector<std::thread> lanes;
  for (std::uint32_t lane = 0; lane < how.lanes; ++lane)
    lanes.emplace_back([&, lane] { run_lane(**to, how, lane, done); });
  for (auto& lane : lanes)
    lane.join();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  std::printf(R"({"events":%llu,"seconds":%.3f,"cpu_s":%.3f,"events_per_s":%.0f})"
              "\n",
              static_cast<unsigned long long>(done.load()), took.count(), cpu_s(),
              static_cast<double>(done.load()) / took.count());
  return 0;
}
