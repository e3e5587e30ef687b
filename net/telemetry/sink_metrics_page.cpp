#include "net/telemetry/sink_metrics_page.hpp"

#include "actors/base/metrics.hpp"

#include <boost/json.hpp>

#include <algorithm>

namespace penstock {

namespace {

namespace json = boost::json;

struct shown_sink {
  const sink_metrics& counts;
  sink_status status;
  std::vector<sink_lag> lags;
};

std::vector<sink_lag> shown_lags(const sink_metrics& sink, const stream_test& is_configured) {
  auto out = shown_streams(
      sink.lags(), is_configured,
      [](const sink_lag& lag) {
        return event_volume{lag.events, lag.bytes};
      },
      [](sink_lag& sum, const sink_lag& more) {
        sum.events += more.events;
        sum.bytes += more.bytes;
        sum.expired += more.expired;
        sum.oldest_ms = std::max(sum.oldest_ms, more.oldest_ms);
      });
  if (!out.empty() && out.back().stream == other_streams) {
    out.back().state = stream_state::ok; // of one of them
    out.back().error.clear();
  }
  return out;
}

std::vector<shown_sink> shown(const sink_sources& sinks, const stream_test& is_configured) {
  std::vector<shown_sink> out;
  for (const auto& sink : sinks)
    out.push_back({*sink, sink->status(), shown_lags(*sink, is_configured)});
  return out;
}

void add_lags(prometheus_page& out, const std::vector<shown_sink>& sinks) {
  const auto each = [&](auto figure) {
    for (const auto& sink : sinks)
      for (const auto& lag : sink.lags)
        out.value(figure(lag), {{"sink", sink.status.sink}, {"stream", lag.stream}});
  };
  out.gauge("penstock_sink_lag_events", "Durable events that the sink has not settled.");
  each([](const sink_lag& lag) { return lag.events; });
  out.gauge("penstock_sink_lag_bytes", "Bytes of their bodies.");
  each([](const sink_lag& lag) { return lag.bytes; });
  out.gauge("penstock_sink_lag_seconds", "Age of the oldest of them; 0 when there is none.");
  each([](const sink_lag& lag) { return static_cast<double>(lag.oldest_ms) / 1e3; });
}

json::object stream_json(const sink_lag& lag) {
  return {{"stream", lag.stream},
          {"state", stream_state_names[static_cast<std::size_t>(lag.state)]},
          {"error", lag.error.empty() ? json::value() : json::value(lag.error)},
          {"lag_events", lag.events},
          {"lag_bytes", lag.bytes},
          {"expired", lag.expired},
          {"lag_s", static_cast<double>(lag.oldest_ms) / 1e3}};
}

} // namespace

void add_sinks(prometheus_page& out, const sink_sources& sinks, const stream_test& is_configured) {
  if (sinks.empty()) return;
  const auto all = shown(sinks, is_configured);
  const auto each = [&](auto figure) {
    for (const auto& sink : all)
      out.value(figure(sink), {{"sink", sink.status.sink}});
  };
  add_lags(out, all);
  out.gauge("penstock_sink_up", "0 while the breaker is open: the sink gets a probe now and then.");
  each([](const shown_sink& s) { return s.status.state == sink_state::open ? 0 : 1; });
  out.gauge("penstock_sink_held_streams",
            "Streams that fail while the sink is there: they get a probe now and then.");
  each([](const shown_sink& s) { return s.counts.held_streams.value(); });
  out.gauge("penstock_sink_missing_targets",
            "Those of them whose topic, queue, subject or path is not there.");
  each([](const shown_sink& s) { return s.counts.missing_targets.value(); });
  out.counter("penstock_sink_delivered_total", "Events that the sink confirmed.");
  each([](const shown_sink& s) { return s.counts.delivered.value(); });
  out.counter("penstock_sink_refused_total",
              "Events that the sink refused for good: dead letters.");
  each([](const shown_sink& s) { return s.counts.refused.value(); });
  out.counter("penstock_sink_failures_total",
              "Batches that the sink did not confirm, wholly or in part.");
  each([](const shown_sink& s) { return s.counts.failures.value(); });
  out.counter("penstock_sink_batches_total", "Batches handed to the sink.");
  each([](const shown_sink& s) { return s.counts.batches.value(); });
  out.counter("penstock_sink_repeats_total", "Events handed to the sink once more.");
  each([](const shown_sink& s) { return s.counts.repeats.value(); });
  out.counter("penstock_sink_expired_total",
              "Events LOST to the sink, as their stream held too much and lets the oldest go.");
  each([](const shown_sink& s) { return s.counts.expired.value(); });
  out.gauge("penstock_sink_inflight_batches", "Batches whose outcome is not known yet.");
  each([](const shown_sink& s) { return s.counts.inflight_batches.value(); });
  out.histogram("penstock_sink_batch_seconds", "Time from handing a batch over to its outcome.");
  for (const auto& sink : all)
    out.value<latency_histogram>(microseconds_per_second, {&sink.counts.batch_us},
                                 {{"sink", sink.status.sink}});
}

json::array sinks_json(const sink_sources& sinks, std::int64_t now_ms,
                       const stream_test& is_configured) {
  json::array out;
  for (const auto& sink : shown(sinks, is_configured)) {
    json::array streams;
    for (const auto& lag : sink.lags)
      streams.push_back(stream_json(lag));
    json::object one{
        {"sink", sink.status.sink},
        {"kind", sink.status.kind},
        {"state", sink_state_names[static_cast<std::size_t>(sink.status.state)]},
        {"last_error", nullptr},
        {"last_error_age_s", nullptr},
        {"delivered", sink.counts.delivered.value()},
        {"refused", sink.counts.refused.value()},
        {"failures", sink.counts.failures.value()},
        {"in_flight_batches", sink.counts.inflight_batches.value()},
        {"streams", std::move(streams)},
    };
    if (!sink.status.last_error.empty()) {
      const auto age_ms = std::max<std::int64_t>(0, now_ms - sink.status.last_error_ms);
      one["last_error"] = sink.status.last_error;
      one["last_error_age_s"] = static_cast<double>(age_ms) / 1e3;
    }
    out.push_back(std::move(one));
  }
  return out;
}

} // namespace penstock
