#include "cli/node/sinks_unit.hpp"

#include "cli/config/memory_plan.hpp"

#include <algorithm>

namespace penstock {

result<void> sinks_unit::start() {
  for (const auto& [name, settings] : core_.settings.sinks) {
    if (settings.kind == "embedded") continue;
    auto made = make_outgoing_sink(name, settings, core_.settings.node_name);
    if (!made) return made.error();
    sinks_.emplace(name, std::move(*made));
  }
  return {};
}

// A lane that waits for its sink takes no message until the sink lets it go.
void sinks_unit::stop() {
  for (auto& [name, out] : sinks_) {
    out.to->stop();
    end_actor(out.publisher);
  }
}

void sinks_unit::add_figures(metrics_sources& to) {
  for (const auto& [name, out] : sinks_)
    to.sinks.push_back(out.metrics);
  const auto each_bytes = core_.settings.memory.max_batch_bytes * copies_per_batch;
  add_memory_use(to, core_.settings, memory_use::batches, [sinks = to.sinks, each_bytes] {
    std::int64_t under_way = 0;
    for (const auto& one : sinks)
      under_way += one->inflight_batches.value();
    return static_cast<std::uint64_t>(std::max<std::int64_t>(under_way, 0)) * each_bytes;
  });
}

} // namespace penstock
