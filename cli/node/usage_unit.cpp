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
  parts.keep.keep_ms = {settings.minute_retention_ms, settings.hour_retention_ms,
                        settings.day_retention_ms, 0ms};
  parts.keep.max_rows = settings.max_rows;
  parts.metrics = metrics_;
  parts.wall_ms = wall_ms;
  parts.max_pending_entries = core_.settings.memory.usage_pending_entries;
  parts.pending = budget_;
  writer_ = core_.system.spawn<caf::detached>(usage_actor, std::move(parts));
  reader_ = core_.system.spawn<caf::detached>(
      usage_reader_actor, usage_reader_parts{std::move(*opened), stopping_, true});
  return {};
}

void usage_unit::drain(drain_step step, node_drain& by) {
  if (step == drain_step::save_usage) by.save(writer_, "usage");
}

void usage_unit::stop() {
  stopping_->store(true);
  end_actor(writer_);
  end_actor(reader_);
}

void usage_unit::add_figures(metrics_sources& to) {
  if (!writer_) return;
  to.usage = metrics_;
  add_memory_use(to, core_.settings, memory_use::usage,
                 [budget = budget_] { return budget->used_bytes(); });
}

} // namespace penstock
