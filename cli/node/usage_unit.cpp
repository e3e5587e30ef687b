#include "cli/node/usage_unit.hpp"

#include "cli/node/node_drain.hpp"
#include "net/base/wall_time.hpp"

namespace penstock {

result<void> usage_unit::start() {
  using namespace std::chrono_literals;
  const auto& settings = core_.settings.usage;
  if (!settings.enabled) return {};
  store_report found;
  auto store = usage_store::open(core_.settings.data_dir, &found);
  storage_.tell_damage(found);
  if (!store) return store.error();
  auto opened = usage_reader::open(core_.settings.data_dir,
                                   static_cast<std::int64_t>(core_.settings.memory.usage_sums));
  if (!opened) return opened.error();
  usage_parts parts;
  parts.store = std::move(*store);
  begun_ms_ = parts.store->begun_ms();
  usage_reader_parts reading{std::move(*opened), parts.store->about().origin, {}, stopping_, true};
  if (core_.has_peers()) {
    if (auto kept = keep_copies(parts, reading); !kept) return kept;
  }
  parts.keep.keep_ms = {settings.minute_retention_ms, settings.hour_retention_ms,
                        settings.day_retention_ms, 0ms};
  parts.keep.max_rows = settings.max_rows;
  parts.metrics = metrics_;
  parts.wall_ms = wall_ms;
  parts.max_pending_entries = core_.settings.memory.usage_pending_entries;
  parts.pending = budget_;
  writer_ = core_.system.spawn<caf::detached>(usage_actor, std::move(parts));
  reader_ = core_.system.spawn<caf::detached>(usage_reader_actor, std::move(reading));
  if (core_.has_peers())
    gatherer_ = core_.system.spawn(
        usage_gatherer,
        usage_gatherer_parts{writer_, reader_, core_.settings.cluster.listen, members_});
  return {};
}

result<void> usage_unit::keep_copies(usage_parts& parts, usage_reader_parts& reading) {
  store_report found;
  auto copies = usage_copies::open(core_.settings.data_dir, &found);
  storage_.tell_damage(found);
  if (!copies) return copies.error();
  parts.copies = std::move(*copies);
  auto about = parts.store->about();
  about.node = core_.settings.node_name;
  about.address = core_.settings.cluster.listen;
  reading.open_copies = [dir = core_.settings.data_dir](const std::vector<std::string>& origins) {
    return usage_reader::open_copies(dir, origins);
  };
  return parts.store->describe(about);
}

// The last counts of the front ends came before: what they answered is counted.
void usage_unit::hand_over(node_drain& by) {
  if (!gatherer_) return;
  if (!by.ask<usage_handed_over>(writer_, by.soon(usage_hand_over_time), usage_hand_over{}))
    by.leave_over("not all of this node's usage could be handed over to another node in time; it "
                  "is kept here, and counted again when a node runs on this directory");
}

void usage_unit::drain(drain_step step, node_drain& by) {
  if (step == drain_step::tell_holders) hand_over(by);
  if (step == drain_step::save_usage) by.save(writer_, "usage");
}

void usage_unit::stop() {
  stopping_->store(true);
  end_actor(writer_);
  end_actor(reader_);
  end_actor(gatherer_);
}

void usage_unit::add_figures(metrics_sources& to) {
  if (!writer_) return;
  to.usage = metrics_;
  add_memory_use(to, core_.settings, memory_use::usage,
                 [budget = budget_] { return budget->used_bytes(); });
}

} // namespace penstock
