#include "cli/node/journal_unit.hpp"

#include "actors/journal/journal_messages.hpp"
#include "actors/streams/stream_settings.hpp"
#include "cli/node/node_drain.hpp"
#include "cli/node/outgoing.hpp"
#include "net/base/wall_time.hpp"

#include <fmt/format.h>

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

std::uint64_t percent_of(std::uint64_t whole, std::uint64_t percent) {
  return whole / 100 * percent + whole % 100 * percent / 100;
}

} // namespace

result<void> journal_unit::start() {
  start_writer();
  start_keeper();
  reload_replication(core_.settings);
  return {};
}

void journal_unit::start_writer() {
  const auto& with = core_.settings;
  journal_actor_settings settings;
  settings.recent_bytes = with.queue.memory_bytes;
  settings.recent = recent_budget_;
  settings.received_delay_ms = with.journal.received_delay_ms;
  settings.max_bytes = with.journal.max_size_bytes;
  settings.scarce_above_bytes =
      percent_of(with.journal.max_size_bytes, with.journal.high_watermark);
  settings.scarce_until_bytes = percent_of(with.journal.max_size_bytes, with.journal.low_watermark);
  settings.is_fetched = [streams = with.streams](const std::string& stream) {
    const auto found = streams.find(stream);
    return !(found != streams.end() ? found->second : streams.at("default")).sinks.empty();
  };
  settings.replicator = replication_.replicator();
  settings.space_rule = space_rule(with);
  settings.unconfigured_max_bytes = unconfigured_max_bytes(with);
  writer_ = core_.system.spawn<caf::detached>(journal_actor, storage_.events(), std::move(settings),
                                              &core_.state, storage_.metrics());
}

void journal_unit::start_keeper() {
  const auto& with = core_.settings;
  auto& events = *storage_.events();
  retention_parts parts;
  parts.segments = segment_keeper::make(
      events, storage_.options(),
      {keys_.kept(), with.idempotency.window_ms, with.idempotency.max_keys, wall_ms});
  parts.catalog = events.catalog();
  parts.sinks = fed_sinks(with);
  parts.retention_ms = with.journal.retention_ms;
  parts.replicator = replication_.replicator();
  parts.metrics = retention_metrics_;
  parts.wall_ms = wall_ms;
  parts.cursors = storage_.cursors();
  parts.routes = sink_routes(with);
  parts.queue = queue_name(with);
  parts.max_bytes = with.journal.max_size_bytes;
  parts.segment_max_bytes = storage_.options().segment_max_bytes;
  keeper_ = core_.system.spawn<caf::detached>(retention_actor, std::move(parts));
}

void journal_unit::drain(drain_step step, node_drain& by) {
  // Behind all that front ends sent. An actor on its way out answers nobody, and the journal's
  // would have nothing for publishers then: so it stays for now.
  if (step == drain_step::commit) {
    caf::scoped_actor self{core_.system};
    self->request(writer_, debt_answer_time, commit_due{}).receive([] {}, [](caf::error&) {});
  }
  if (step == drain_step::save_events) by.save(writer_, "the journal");
}

void journal_unit::stop() {
  end_actor(writer_);
  end_actor(keeper_);
}

void journal_unit::add_figures(metrics_sources& to) {
  to.keeper = retention_metrics_;
  add_memory_use(to, core_.settings, memory_use::recent,
                 [budget = recent_budget_] { return budget->used_bytes(); });
}

void journal_unit::reload_space(const config& settings) {
  caf::anon_send(writer_, space_rules_changed{space_rule(settings)});
}

// Through the journal, which passes it on between the rows that it applies to.
void journal_unit::reload_replication(const config& settings) {
  auto now = replication_of(settings);
  if (!replication_.replicator() || now == replicated_) return;
  replicated_ = std::move(now);
  caf::anon_send(writer_, replicated_streams_of(settings, core_.settings));
}

} // namespace penstock
