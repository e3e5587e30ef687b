// The part of a node's composition that moves events out of it.
#include "cli/node.hpp"

#include "actors/delivery_lane.hpp"
#include "net/sinks/sink_kinds.hpp"
#include "net/wall_time.hpp"

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

result<void> node::make_sinks() {
  for (const auto& [name, settings] : settings_.sinks) {
    if (settings.kind == "embedded") continue;
    auto made = make_sink(settings, {name, settings_.node_name});
    if (!made) return made.error();
    sinks_.emplace(name,
                   outgoing_sink{std::move(*made),
                                 std::make_shared<sink_metrics>(name, settings.kind), nullptr});
  }
  return {};
}

// Before the publishers, which bury what their sinks refuse.
result<void> node::start_delivery_keepers() {
  sink_kinds kinds;
  for (const auto& [name, settings] : settings_.sinks)
    kinds.emplace(name, settings.kind);
  auto letters = dead_letter_store::open(settings_.data_dir, settings_.dead_letters_max_bytes);
  if (!letters) return letters.error();
  auto replays = replay_store::open(settings_.data_dir);
  if (!replays) return replays.error();
  dead_letters_ = system_.spawn<caf::detached>(
      dead_letters_actor,
      dead_letters_parts{std::move(*letters), kinds, dead_letter_metrics_, wall_ms});
  replay_parts parts;
  parts.store = std::move(*replays);
  parts.reader = journal_reader::make(journal_->catalog());
  parts.catalog = journal_->catalog();
  parts.tag = journal_->tag();
  parts.sinks = std::move(kinds);
  parts.dead_letters = dead_letters_;
  parts.metrics = replay_metrics_;
  parts.wall_ms = wall_ms;
  replays_ = system_.spawn<caf::detached>(replay_actor, std::move(parts));
  return {};
}

// One publisher and `lanes` threads a sink; also for sinks that no stream feeds, to which events
// may be sent again by hand.
void node::start_publishers() {
  for (auto& [name, out] : sinks_) {
    const auto& settings = settings_.sinks.at(name);
    publisher_parts parts;
    parts.sink = name;
    parts.kind = settings.kind;
    parts.settings = settings.delivery;
    parts.traits = out.to->traits();
    parts.stop_sink = [to = out.to] { to->stop(); };
    parts.feeds = feeds(settings_, name);
    parts.saved = saved_cursors_;
    parts.cursors = cursors_;
    parts.reader = journal_reader::make(journal_->catalog());
    parts.catalog = journal_->catalog();
    parts.journal = journal_actor_;
    parts.keeper = keeper_;
    parts.dead_letters = dead_letters_;
    for (std::uint32_t i = 0; i < settings.delivery.lanes; ++i)
      parts.lanes.push_back(system_.spawn<caf::detached>(
          delivery_lane, delivery_lane_parts{i, out.to, settings.delivery.timeout_ms}));
    parts.metrics = out.metrics;
    parts.tag = journal_->tag();
    parts.wall_ms = wall_ms;
    parts.random = [engine = std::minstd_rand{std::random_device{}()}]() mutable {
      return std::uniform_real_distribution<>{}(engine);
    };
    out.publisher = system_.spawn<caf::detached>(publisher, std::move(parts));
  }
  saved_cursors_.clear();
  publishers_known publishers;
  for (const auto& [name, out] : sinks_)
    publishers.publishers.emplace(name, out.publisher);
  caf::anon_send(dead_letters_, publishers);
  caf::anon_send(replays_, std::move(publishers));
}

} // namespace penstock
