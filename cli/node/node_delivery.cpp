// The part of a node's composition that moves events out of it.
#include "cli/node/node.hpp"

#include "net/base/wall_time.hpp"

namespace penstock {

result<void> node::make_sinks() {
  for (const auto& [name, settings] : settings_.sinks) {
    if (settings.kind == "embedded") continue;
    auto made = make_outgoing_sink(name, settings, settings_.node_name);
    if (!made) return made.error();
    sinks_.emplace(name, std::move(*made));
  }
  return {};
}

/// Streams that nobody configured may have this part of dead_letters.max_size together: a fifth.
constexpr std::uint64_t unconfigured_letters_share = 5;

// Before the publishers, which bury what their sinks refuse.
result<void> node::start_delivery_keepers() {
  sink_kinds kinds;
  for (const auto& [name, settings] : settings_.sinks)
    kinds.emplace(name, settings.kind);
  store_report found;
  auto letters =
      dead_letter_store::open(settings_.data_dir, settings_.dead_letters_max_bytes, {}, &found);
  auto replays = replay_store::open(settings_.data_dir, {}, &found);
  tell_damage(found);
  if (!letters) return letters.error();
  if (!replays) return replays.error();
  const letter_share unconfigured{
      [is_configured = is_configured()](const std::string& stream) { return !is_configured(stream); },
      settings_.dead_letters_max_bytes / unconfigured_letters_share};
  dead_letters_ = system_.spawn<caf::detached>(
      dead_letters_actor, dead_letters_parts{std::move(*letters), kinds, dead_letter_metrics_,
                                             wall_ms, unconfigured});
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
  const publisher_base base{*journal_, cursors_, journal_actor_, keeper_, dead_letters_,
                            is_configured(), delivery_budget_, settings_.memory.max_batch_bytes,
                            space_rule(settings_)};
  for (auto& [name, out] : sinks_)
    start_publisher(system_, name, settings_.sinks.at(name), feeds(settings_, name), saved_cursors_,
                    base, out);
  saved_cursors_.clear();
  publishers_known publishers;
  for (const auto& [name, out] : sinks_)
    publishers.publishers.emplace(name, out.publisher);
  caf::anon_send(dead_letters_, publishers);
  caf::anon_send(replays_, std::move(publishers));
}

} // namespace penstock
