#include "cli/node/replication_unit.hpp"

#include "cli/node/adopt.hpp"
#include "cli/node/node_drain.hpp"
#include "cli/node/outgoing.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <optional>

namespace penstock {

namespace {

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
replica_adopted replication_unit::publish_replica_of(const adopt_replica& what) {
  std::vector<std::string> damaged;
  adopt_request request{.dir = replica_dir(core_.settings.data_dir, what.tag),
                        .without_queue = true,
                        .told = what.told,
                        .damaged = &damaged};
  replica_adopted out{.tag = what.tag, .node = what.node};
  const auto report = adopt(core_.settings, request, *adoption_stops_, [](const progress&) {});
  if (report) damaged = report->damaged;
  for (const auto& sentence : damaged)
    spdlog::error("replicas: {}", sentence);
  out.is_partial = !damaged.empty();
  if (!report) {
    out.why = report.error().message;
    return out;
  }
  std::uint64_t left = 0, left_for_queue = 0;
  for (const auto& one : report->streams)
    (one.kind == "embedded" ? left_for_queue : left) += one.left;
  out.is_done = left == 0 && !report->interrupted;
  out.is_empty = left_for_queue == 0 && report->refused == 0 && report->dead_letters == 0;
  if (!out.is_done) out.why = why_left(*report);
  return out;
}

result<void> replication_unit::start() {
  if (!core_.has_peers()) return {};
  if (auto done = start_replicas(); !done) return done;
  start_replicator();
  return {};
}

result<void> replication_unit::start_replicas() {
  const auto& settings = core_.settings;
  replica_options options;
  options.dir = settings.data_dir;
  options.max_bytes = settings.cluster.replica_max_bytes;
  options.segment_max_bytes = std::min(settings.journal.segment_size_bytes, options.max_bytes / 8);
  std::vector<std::string> problems, torn;
  auto store = replica_store::open(options, &problems, &torn);
  for (const auto& sentence :
       problems) // also before an error: what was put right is not found again
    spdlog::error("replicas: {}", sentence);
  for (const auto& sentence : torn)
    spdlog::warn("replicas: {}", sentence);
  if (!store) return store.error();
  storage_.metrics()->damaged_stores.add(static_cast<std::int64_t>(problems.size()));
  keys_.read_held(**store);
  replica_parts holder;
  holder.store = std::move(*store);
  holder.adopt_after_ms = settings.cluster.adopt_after_ms;
  holder.metrics = replica_metrics_;
  holder.tag = storage_.events()->tag();
  holder.lost_some = storage_.journal_lost_some();
  if (holder.adopt_after_ms.count() > 0)
    adopter_ = core_.system.spawn<caf::detached>(
        adopter, [this](const adopt_replica& what) { return publish_replica_of(what); });
  holder.adopter = adopter_;
  replicas_ = core_.system.spawn<caf::detached>(replica_actor, std::move(holder));
  return {};
}

void replication_unit::start_replicator() {
  const auto& events = *storage_.events();
  auto origin = std::make_shared<replicator_parts>();
  origin->tag = events.tag();
  origin->node = core_.settings.node_name;
  origin->catalog = events.catalog();
  origin->reader = journal_reader::make(events.catalog());
  origin->metrics = replicator_metrics_;
  origin->max_pending_bytes = core_.settings.memory.replica_pending_bytes;
  origin->cursors = storage_.cursors();
  origin->routes = sink_routes(core_.settings);
  origin->queue = queue_name(core_.settings);
  origin->lost_some = storage_.journal_lost_some();
  replicator_ = core_.system.spawn<caf::detached>(penstock::replicator, std::move(origin));
}

// Before the links close, and beside all that comes before that.
void replication_unit::pass_on(node_drain& by) {
  if (!replicas_) return;
  std::optional<held_passed_on> passed;
  caf::scoped_actor self{core_.system};
  self->request(replicas_, time_until(by.deadline()), pass_on_held{})
      .receive([&](const held_passed_on& done) { passed = done; }, [](caf::error&) {});
  if (!passed)
    by.leave_over("not all events that are held for other nodes could be passed on in time");
  else if (passed->left_events > 0)
    by.leave_over(fmt::format("up to {} events that are held for other nodes are held by no node "
                              "that stays: {}",
                              passed->left_events, passed->why));
}

void replication_unit::drain(drain_step step, node_drain& by) {
  if (step == drain_step::begin) {
    adoption_stops_->store(true);
    if (replicas_) caf::anon_send(replicas_, pass_on_held{});
  }
  if (step == drain_step::pass_on) pass_on(by);
  // What is published by now need not be held for this node.
  if (step == drain_step::tell_holders && !by.ask_to_drain(replicator_, by.soon(announce_time)))
    by.leave_over("holders of this node's events were not told which of them are published");
  if (step == drain_step::save_replicas) by.save(replicas_, "other nodes' events");
}

void replication_unit::stop() {
  adoption_stops_->store(true);
  end_actor(replicator_);
  end_actor(replicas_);
  tell_to_end(adopter_);
}

// What it publishes with is this unit's and the node's.
void replication_unit::join() {
  if (!adopter_) return;
  caf::scoped_actor self{core_.system};
  self->wait_for(adopter_);
  adopter_ = nullptr;
}

void replication_unit::add_figures(metrics_sources& to) {
  if (replicator_) to.replicator = replicator_metrics_;
  if (replicas_) to.replicas = replica_metrics_;
}

} // namespace penstock
