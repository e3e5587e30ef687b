#include "cli/node/outgoing.hpp"

#include "actors/delivery/delivery_lane.hpp"
#include "actors/streams/stream_settings.hpp"
#include "net/base/wall_time.hpp"
#include "net/sinks/sink_kinds.hpp"

#include <algorithm>
#include <random>

namespace penstock {

std::function<bool(const std::string&)> feeds(const config& settings, std::string sink) {
  return [streams = settings.streams, sink = std::move(sink)](const std::string& stream) {
    const auto found = streams.find(stream);
    const auto& sinks = (found != streams.end() ? found->second : streams.at("default")).sinks;
    return std::find(sinks.begin(), sinks.end(), sink) != sinks.end();
  };
}

stream_rules space_rule(const config& settings) {
  return [streams = settings.streams](const std::string& stream) {
    const auto found = streams.find(stream);
    const bool is_configured = found != streams.end();
    const auto& of = is_configured ? found->second : streams.at("default");
    if (of.sinks.empty()) return stream_rule{};
    return stream_rule{of.max_size_bytes, of.max_age_ms.count(),
                       of.when_full == full_stream_policy::refuse, is_configured};
  };
}

std::string queue_name(const config& settings) {
  for (const auto& [name, stream] : settings.streams)
    for (const auto& sink : stream.sinks)
      if (settings.sinks.at(sink).kind == "embedded") return sink;
  return {};
}

std::vector<std::string> fed_sinks(const config& settings) {
  std::vector<std::string> names;
  for (const auto& [name, stream] : settings.streams)
    names.insert(names.end(), stream.sinks.begin(), stream.sinks.end());
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

std::vector<sink_route> sink_routes(const config& settings) {
  std::vector<sink_route> routes;
  for (const auto& sink : fed_sinks(settings))
    routes.push_back({sink, feeds(settings, sink)});
  return routes;
}

std::function<bool(const std::string&)> configured_streams(const config& settings) {
  return
      [streams = settings.streams](const std::string& stream) { return streams.contains(stream); };
}

result<outgoing_sink> make_outgoing_sink(const std::string& name, const sink_settings& settings,
                                         const std::string& node_name) {
  auto made = make_sink(settings, {name, node_name});
  if (!made) return made.error();
  return outgoing_sink{std::move(*made), std::make_shared<sink_metrics>(name, settings.kind), {}};
}

void start_publisher(caf::actor_system& system, const std::string& name,
                     const sink_settings& settings, std::function<bool(const std::string&)> feeds,
                     std::vector<cursor> saved, const publisher_base& base, outgoing_sink& out) {
  publisher_parts parts;
  parts.sink = name;
  parts.kind = settings.kind;
  parts.settings = settings.delivery;
  parts.traits = out.to->traits();
  parts.stop_sink = [to = out.to] { to->stop(); };
  parts.feeds = std::move(feeds);
  parts.is_configured = base.is_configured;
  parts.saved = std::move(saved);
  parts.cursors = base.cursors;
  parts.reader = journal_reader::make(base.from.catalog());
  parts.catalog = base.from.catalog();
  parts.journal = base.journal;
  parts.keeper = base.keeper;
  parts.dead_letters = base.dead_letters;
  parts.budget = base.budget;
  parts.max_batch_bytes = base.max_batch_bytes;
  for (std::uint32_t i = 0; i < settings.delivery.lanes; ++i)
    parts.lanes.push_back(system.spawn<caf::detached>(
        delivery_lane, delivery_lane_parts{i, out.to, settings.delivery.timeout_ms}));
  parts.metrics = out.metrics;
  parts.tag = base.from.tag();
  parts.wall_ms = wall_ms;
  parts.space_rule = base.space_rule;
  parts.random = [engine = std::minstd_rand{std::random_device{}()}]() mutable {
    return std::uniform_real_distribution<>{}(engine);
  };
  out.publisher = system.spawn<caf::detached>(publisher, std::move(parts));
}

} // namespace penstock
