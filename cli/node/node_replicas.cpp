// The part of a node's composition that holds other nodes' events, and has its own held.
#include "actors/cluster/cluster_settings.hpp"
#include "actors/journal/journal_messages.hpp"
#include "actors/replication/adopter.hpp"
#include "actors/streams/stream_settings.hpp"
#include "cli/node/adopt.hpp"
#include "cli/node/node.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

namespace penstock {

namespace {

bool is_replicated(const config& settings, const std::string& stream) {
  const auto found = settings.streams.find(stream);
  const auto& rules =
      found != settings.streams.end() ? found->second : settings.streams.at("default");
  return rules.ack == ack_level::replicated;
}

/// `began`: what the node was started with. Where events go can't change while it runs.
replicated_streams replicated_streams_of(const config& settings, const config& began) {
  replicated_streams out;
  for (const auto* one : {&settings, &began})
    for (const auto& [name, rules] : one->streams) {
      if (!is_replicated(settings, name)) continue;
      const auto known = began.streams.find(name);
      const auto& sinks =
          (known != began.streams.end() ? known->second : began.streams.at("default")).sinks;
      out.sinks.insert(out.sinks.end(), sinks.begin(), sinks.end());
      out.wanted = [settings](const std::string& stream) {
        return is_replicated(settings, stream);
      };
    }
  if (!out.wanted) out.sinks = fed_sinks(began); // something may be held of an earlier life
  std::ranges::sort(out.sinks);
  out.sinks.erase(std::ranges::unique(out.sinks).begin(), out.sinks.end());
  return out;
}

/// Which streams are replicated, to be compared.
std::string replication_of(const config& settings) {
  std::string text;
  for (const auto& [name, rules] : settings.streams)
    text += fmt::format("{}={} ", name, rules.ack == ack_level::replicated);
  return text;
}

std::string why_left(const adopt_report& report) {
  if (report.interrupted) return "this node ends";
  for (const auto& [sink, why] : report.stalled)
    return fmt::format("the sink {} takes nothing: {}", sink, why);
  for (const auto& one : report.streams)
    if (one.left > 0 && one.kind != "embedded")
      return fmt::format("{} events of the stream {} are left for the sink {}", one.left,
                         one.stream, one.sink);
  return {};
}

} // namespace

// The queue's events stay: whose consumers are to get them is for people to say.
replica_adopted node::publish_replica_of(const adopt_replica& what) {
  adopt_wish wish{
      .dir = replica_dir(settings_.data_dir, what.tag), .without_queue = true, .told = what.told};
  replica_adopted out{.tag = what.tag, .node = what.node};
  const auto report = adopt(settings_, wish, *adoption_stops_, [](const progress&) {});
  if (!report) {
    out.why = report.error().message;
    return out;
  }
  for (const auto& sentence : report->damaged)
    spdlog::error("replicas: {}", sentence);
  std::uint64_t left = 0, left_for_queue = 0;
  for (const auto& one : report->streams)
    (one.kind == "embedded" ? left_for_queue : left) += one.left;
  out.is_done = left == 0 && !report->interrupted;
  out.is_empty = left_for_queue == 0 && report->refused == 0 && report->dead_letters == 0;
  if (!out.is_done) out.why = why_left(*report);
  return out;
}

result<void> node::open_replicas() {
  if (settings_.cluster.directory == directory_kind::none) return {};
  replica_options options;
  options.dir = settings_.data_dir;
  options.max_bytes = settings_.cluster.replica_max_bytes;
  options.segment_max_bytes = std::min(settings_.journal.segment_size_bytes, options.max_bytes / 8);
  std::vector<std::string> problems, torn;
  auto store = replica_store::open(options, &problems, &torn);
  if (!store) return store.error();
  for (const auto& sentence : problems)
    spdlog::error("replicas: {}", sentence);
  for (const auto& sentence : torn)
    spdlog::warn("replicas: {}", sentence);
  journal_metrics_->damaged_stores.add(static_cast<std::int64_t>(problems.size()));
  replica_parts holder;
  holder.store = std::move(*store);
  holder.adopt_after_ms = settings_.cluster.adopt_after_ms;
  holder.metrics = replica_metrics_;
  if (holder.adopt_after_ms.count() > 0)
    adopter_ = system_.spawn<caf::detached>(
        adopter, [this](const adopt_replica& what) { return publish_replica_of(what); });
  holder.adopter = adopter_;
  replicas_ = system_.spawn<caf::detached>(replica_actor, std::move(holder));
  auto origin = std::make_shared<replicator_parts>();
  origin->tag = journal_->tag();
  origin->node = settings_.node_name;
  origin->catalog = journal_->catalog();
  origin->reader = journal_reader::make(journal_->catalog());
  origin->metrics = replicator_metrics_;
  origin->max_pending_bytes = settings_.memory.replica_pending_bytes;
  origin->cursors = cursors_;
  origin->routes = sink_routes();
  origin->queue = queue_name(settings_);
  replicator_ = system_.spawn<caf::detached>(replicator, std::move(origin));
  return {};
}

// Through the journal, which passes it on between the rows that it applies to.
void node::tell_replicated_streams(const config& settings) {
  auto now = replication_of(settings);
  if (!replicator_ || now == replication_) return;
  replication_ = std::move(now);
  caf::anon_send(journal_actor_, replicated_streams_of(settings, settings_));
}

} // namespace penstock
