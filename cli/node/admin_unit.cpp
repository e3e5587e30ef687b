#include "cli/node/admin_unit.hpp"

#include "cli/config/node_memory.hpp"
#include "cli/node/logging.hpp"
#include "net/base/wall_time.hpp"

#include <csignal>

#include <unistd.h>

namespace penstock {

result<void> admin_unit::start() {
  for (auto* each : needs_.all_units)
    each->add_figures(needs_.figures);
  auto started = admin_server::start(
      {core_.settings.admin, core_.system, needs_.delivery.queue(), core_.state, needs_.figures,
       needs_.accounts.actor(), needs_.usage.reader(), needs_.usage.gatherer(),
       needs_.usage_rebuild.actor(), needs_.usage_rebuild.board(), needs_.delivery.dead_letters(),
       needs_.delivery.replays(), needs_.drain,
       // A drain that is asked for is one that a signal asks for.
       [] { ::kill(::getpid(), SIGTERM); }});
  if (!started) return started.error();
  server_ = std::move(*started);
  return {};
}

void admin_unit::add_figures(metrics_sources& to) {
  const auto& settings = core_.settings;
  to.node_name = settings.node_name;
  to.version = PENSTOCK_VERSION;
  to.started_ms = wall_ms();
  to.dropped_log_lines = dropped_log_messages;
  to.memory.limit_bytes = settings.memory.total_bytes;
  to.memory.source = core_.memory_source;
  to.memory.head_room_bytes = settings.memory.head_room_bytes;
  to.memory.bounds = memory_bounds(settings);
}

} // namespace penstock
