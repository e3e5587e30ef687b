#include "cli/node/node_core.hpp"

#include "actors/cluster/cluster_settings.hpp"

#include <algorithm>

namespace penstock {

namespace {

// The storage actors block on the disk and have threads of their own; what is left for CAF's
// scheduler (links, gate, admin requests) is little.
constexpr std::size_t scheduler_threads = 1;

} // namespace

node_core::node_core(const config& with, std::string memory_from)
    : settings(with), memory_source(std::move(memory_from)),
      system_settings(scheduler_threads, has_peers()), system(system_settings) {}

void add_memory_use(metrics_sources& to, const config& settings, memory_use use,
                    std::function<std::uint64_t()> used) {
  const auto number = static_cast<std::size_t>(use);
  const auto bound_bytes = settings.memory.bytes[number];
  if (bound_bytes == 0) return;
  const auto rank = [](std::string_view name) {
    return std::ranges::find(memory_use_names, name) - memory_use_names.begin();
  };
  auto& uses = to.memory.uses;
  const auto at = std::ranges::find_if(uses, [&](const memory_gauge& each) {
    return rank(each.use) > static_cast<std::ptrdiff_t>(number);
  });
  uses.insert(at, {memory_use_names[number], bound_bytes, std::move(used)});
}

} // namespace penstock
