// Metrics have a bounded number of labels, whatever names outsiders send.
#include "actors/delivery/sink_metrics.hpp"
#include "actors/queue/queue_metrics.hpp"
#include "net/telemetry/metrics_page.hpp"
#include "net/telemetry/sink_metrics_page.hpp"
#include "net/telemetry/status_page.hpp"

#include <catch2/catch.hpp>

using namespace penstock;

namespace {

std::size_t count_of(const std::string& text, const std::string& what) {
  std::size_t count = 0;
  for (auto at = text.find(what); at != text.npos; at = text.find(what, at + 1))
    ++count;
  return count;
}

} // namespace

TEST_CASE("metrics: the largest streams, the configured ones, and the rest as one") {
  constexpr std::size_t many = 1000;
  auto queue = std::make_shared<queue_metrics>();
  auto sink = std::make_shared<sink_metrics>("bus", "nats");
  auto letters = std::make_shared<dead_letter_metrics>();
  std::vector<queue_stats> queued;
  std::vector<sink_lag> lags;
  std::vector<dead_letter_tally> tallies;
  for (std::size_t i = 1; i <= many; ++i) {
    const auto name = "n" + std::to_string(i);
    queued.push_back({name, i, 1, static_cast<std::int64_t>(i), 10});
    lags.push_back({"bus", "nats", name, i, 10, 1'000});
    tallies.push_back({"bus", name, i, 1});
  }
  queued.push_back({.stream = "orders"});
  queue->publish(queued);
  sink->publish(sink_state::ok, "", 0, lags);
  letters->publish(tallies);
  metrics_sources from;
  from.queue = queue;
  from.sinks = {sink};
  from.dead_letters = letters;
  from.is_configured = [](const std::string& stream) { return stream == "orders"; };
  const auto page = metrics_page(from);
  for (const auto* family : {"penstock_queue_depth{", "penstock_queue_depth_bytes{",
                             "penstock_queue_in_flight{", "penstock_queue_oldest_seconds{"})
    CHECK(count_of(page, "\n" + std::string{family}) == max_shown_streams + 2);
  for (const auto* family : {"penstock_sink_lag_events{", "penstock_sink_lag_bytes{",
                             "penstock_sink_lag_seconds{", "penstock_dead_letters{"})
    CHECK(count_of(page, "\n" + std::string{family}) == max_shown_streams + 1);
  constexpr std::size_t rest = many - max_shown_streams;
  const auto sum = std::to_string(rest * (rest + 1) / 2);
  for (const auto& line :
       {std::string{"penstock_queue_depth{stream=\"orders\"} 0\n"},
        std::string{"penstock_queue_depth{stream=\"n1000\"} 1000\n"},
        "penstock_queue_depth{stream=\"(other)\"} " + sum + "\n",
        "penstock_queue_in_flight{stream=\"(other)\"} " + std::to_string(rest) + "\n",
        "penstock_sink_lag_events{sink=\"bus\",stream=\"(other)\"} " + sum + "\n",
        "penstock_dead_letters{sink=\"bus\",stream=\"(other)\"} " + sum + "\n"}) {
    INFO(line);
    CHECK(page.find(line) != page.npos);
  }
  CHECK(page.find("penstock_queue_oldest_seconds{stream=\"(other)\"} 0.9\n") != page.npos);
  node_state node;
  const auto status = status_json(from, node);
  CHECK(count_of(status, "\"stream\":") == 2 * max_shown_streams + 3);
}

TEST_CASE("metrics: one stream with few large events is shown among many with small ones") {
  auto queue = std::make_shared<queue_metrics>();
  auto sink = std::make_shared<sink_metrics>("bus", "nats");
  std::vector<queue_stats> queued{{.stream = "hog", .depth = 5, .bytes = 4'500'000}};
  std::vector<sink_lag> lags{
      {.sink = "bus", .kind = "nats", .stream = "hog", .events = 5, .bytes = 4'500'000}};
  for (std::size_t i = 0; i < 2 * max_shown_streams; ++i) {
    const auto name = "n" + std::to_string(i);
    queued.push_back({.stream = name, .depth = 20, .bytes = 20});
    lags.push_back({.sink = "bus", .kind = "nats", .stream = name, .events = 20, .bytes = 20});
  }
  queued.push_back({.stream = "busy", .depth = 1000, .bytes = 0});
  queue->publish(queued);
  sink->publish(sink_state::ok, "", 0, lags);
  metrics_sources from;
  from.queue = queue;
  from.sinks = {sink};
  const auto page = metrics_page(from);
  CHECK(page.find("penstock_queue_depth_bytes{stream=\"hog\"} 4500000\n") != page.npos);
  CHECK(page.find("penstock_queue_depth{stream=\"busy\"} 1000\n") != page.npos);
  CHECK(page.find("penstock_sink_lag_bytes{sink=\"bus\",stream=\"hog\"} 4500000\n") != page.npos);
  CHECK(count_of(page, "\npenstock_queue_depth{") == max_shown_streams + 1);
}

TEST_CASE("metrics: as many streams as are shown need no other") {
  auto queue = std::make_shared<queue_metrics>();
  std::vector<queue_stats> queued;
  for (std::size_t i = 0; i < max_shown_streams; ++i)
    queued.push_back({.stream = "n" + std::to_string(i), .depth = 1});
  queue->publish(queued);
  metrics_sources from;
  from.queue = queue;
  CHECK(count_of(metrics_page(from), "(other)") == 0);
}

TEST_CASE("metrics: how many names of streams there are, and may be") {
  auto names = std::make_shared<stream_names>(8);
  names->adopt(names->hash_of("a"));
  metrics_sources from;
  from.names = names;
  const auto page = metrics_page(from);
  CHECK(page.find("\npenstock_stream_names 1\n") != page.npos);
  CHECK(page.find("\npenstock_stream_names_max 8\n") != page.npos);
  CHECK(page.find("\npenstock_stream_names_forgotten_total 0\n") != page.npos);
}
