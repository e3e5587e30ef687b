#include "cli/node/delivery_unit.hpp"

#include "cli/node/node_drain.hpp"
#include "cli/node/publish_drain.hpp"
#include "net/base/stream_name.hpp"
#include "net/base/wall_time.hpp"

namespace penstock {

namespace {

/// Streams that nobody configured may have this part of dead_letters.max_size together: a fifth.
constexpr std::uint64_t unconfigured_letters_share = 5;

} // namespace

result<void> delivery_unit::start() {
  if (auto done = start_keepers(); !done) return done;
  start_queue();
  start_publishers();
  return {};
}

// Before the publishers, which have stored what their sinks refuse.
result<void> delivery_unit::start_keepers() {
  const auto& settings = core_.settings;
  sink_kinds kinds;
  for (const auto& [name, sink] : settings.sinks)
    kinds.emplace(name, sink.kind);
  store_report found;
  auto letters =
      dead_letter_store::open(settings.data_dir, settings.dead_letters_max_bytes, {}, &found);
  auto jobs = replay_store::open(settings.data_dir, {}, &found);
  storage_.tell_damage(found);
  if (!letters) return letters.error();
  if (!jobs) return jobs.error();
  const letter_share unconfigured{[is_configured = configured_streams(settings)](
                                      const std::string& stream) { return !is_configured(stream); },
                                  settings.dead_letters_max_bytes / unconfigured_letters_share};
  dead_letters_ = core_.system.spawn<caf::detached>(
      dead_letters_actor,
      dead_letters_parts{std::move(*letters), kinds, dead_letter_metrics_, wall_ms, unconfigured});
  const auto& events = *storage_.events();
  replay_parts parts;
  parts.store = std::move(*jobs);
  parts.reader = journal_reader::make(events.catalog());
  parts.catalog = events.catalog();
  parts.tag = events.tag();
  parts.sinks = std::move(kinds);
  parts.dead_letters = dead_letters_;
  parts.metrics = replay_metrics_;
  parts.wall_ms = wall_ms;
  replays_ = core_.system.spawn<caf::detached>(replay_actor, std::move(parts));
  return {};
}

void delivery_unit::start_queue() {
  const auto& settings = core_.settings;
  const auto& events = *storage_.events();
  auto sink = queue_name(settings);
  queue_parts parts;
  parts.sink = sink;
  parts.settings = settings.queue;
  parts.feeds = feeds(settings, sink);
  parts.is_configured = configured_streams(settings);
  parts.budget = queue_budget_;
  parts.saved = storage_.saved_cursors();
  parts.cursors = storage_.cursors();
  parts.reader = journal_reader::make(events.catalog());
  parts.replay = journal_reader::make(events.catalog());
  parts.catalog = events.catalog();
  parts.journal = journal_.writer();
  parts.keeper = journal_.keeper();
  parts.is_name = [](const std::string& stream) { return is_stream_name(stream); };
  parts.dead_letters = dead_letters_;
  parts.tag = events.tag();
  parts.space_rule = space_rule(settings);
  parts.metrics = queue_metrics_;
  parts.wall_ms = wall_ms;
  queue_ = core_.system.spawn<caf::detached>(queue_actor, std::move(parts));
}

// One publisher and `lanes` threads a sink; also for sinks that no stream feeds, to which events
// may be sent again by hand.
void delivery_unit::start_publishers() {
  const auto& settings = core_.settings;
  const publisher_base base{*storage_.events(),  storage_.cursors(),
                            journal_.writer(),   journal_.keeper(),
                            dead_letters_,       configured_streams(settings),
                            delivery_budget_,    settings.memory.max_batch_bytes,
                            space_rule(settings)};
  publishers_known known;
  for (auto& [name, out] : sinks_.all()) {
    start_publisher(core_.system, name, settings.sinks.at(name), feeds(settings, name),
                    storage_.saved_cursors(), base, out);
    known.publishers.emplace(name, out.publisher);
  }
  storage_.forget_saved_cursors();
  caf::anon_send(dead_letters_, known);
  caf::anon_send(replays_, std::move(known));
}

void delivery_unit::drain(drain_step step, node_drain& by) {
  publish_drain rest{core_, *storage_.events(), sinks_, queue_, by};
  if (step == drain_step::count_backlog) rest.note_queue();
  if (step == drain_step::publish) rest.run(replays_, dead_letters_);
  if (step != drain_step::save_deliveries) return;
  by.save(queue_, "the queue's cursors");
  for (const auto& [name, out] : sinks_.all())
    by.save(out.publisher, "cursors of sink " + name);
  // Dead letters after publishers, which have stored what their sinks refuse.
  by.save(replays_, "replays");
  by.save(dead_letters_, "dead letters");
}

void delivery_unit::stop() {
  end_actor(queue_);
  end_actor(replays_);
  end_actor(dead_letters_);
}

void delivery_unit::add_figures(metrics_sources& to) {
  to.queue = queue_metrics_;
  to.dead_letters = dead_letter_metrics_;
  to.replays = replay_metrics_;
  add_memory_use(to, core_.settings, memory_use::delivery,
                 [budget = delivery_budget_] { return budget->used_bytes(); });
  add_memory_use(to, core_.settings, memory_use::queue,
                 [budget = queue_budget_] { return budget->used_bytes(); });
}

void delivery_unit::reload_space(const config& settings) {
  const space_rules_changed update{space_rule(settings)};
  caf::anon_send(queue_, update);
  for (const auto& [name, out] : sinks_.all())
    caf::anon_send(out.publisher, update);
}

} // namespace penstock
