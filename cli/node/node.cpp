#include "cli/node/node.hpp"

#include "cli/node/logging.hpp"
#include "cli/node/node_drain.hpp"

#include <ranges>

namespace penstock {

node_units::node_units(node_core& core, std::shared_ptr<drain_status> board,
                       const std::vector<extension>& extra)
    : seat(core.settings), storage(core), usage(core, storage, seat.members()),
      account_data(core, storage), sockets(core), keys(core, storage, sockets), sinks(core),
      replication(core, storage, keys), journal(core, storage, keys, replication),
      delivery(core, storage, sinks, journal), names(core, storage, sinks, delivery),
      lanes(core, {storage, usage, account_data, sockets, keys, sinks, replication, journal, names,
                   seat}),
      directory(core), accounts(core, account_data, lanes, directory),
      usage_rebuild(core, storage, usage, account_data, accounts),
      more(core, journal, lanes, extra),
      cluster(core, {seat, lanes, directory, accounts, replication, usage, more, figures}),
      admin(core, {usage, delivery, accounts, usage_rebuild, all_, figures, std::move(board)}),
      all_{&storage,     &usage,         &account_data, &sockets, &keys,  &sinks,
           &replication, &journal,       &delivery,     &names,   &lanes, &directory,
           &accounts,    &usage_rebuild, &more,         &cluster, &admin} {}

node::node(const config& settings, std::string memory_source, const std::vector<extension>& extra)
    : core_(settings, std::move(memory_source)), units_(core_, drain_status_, extra) {}

result<std::unique_ptr<node>> node::start(const config& settings, std::string memory_source,
                                          const std::vector<extension>& extra) {
  std::unique_ptr<node> made{new node(settings, std::move(memory_source), extra)};
  for (auto* each : made->units_.all())
    if (auto started = each->start(); !started) return started.error();
  made->units_.cluster.join_cluster();
  made->units_.lanes.serve();
  made->serves_ = true;
  made->core_.state.ready.store(true);
  return made;
}

void node::reload(const config& settings) {
  units_.lanes.reload(settings);
  units_.journal.reload_space(settings);
  units_.delivery.reload_space(settings);
  units_.journal.reload_replication(settings);
  units_.accounts.reload(settings);
  set_log_level(settings.log.level);
  units_.cluster.reload_certificate();
}

bool node::drain() {
  drained_ = true;
  return node_drain{core_, units_.all(), *drain_status_}.run();
}

// Who is asked from outside goes first; then all others, so that threads are waited for when nobody
// gives them work any more.
node::~node() {
  if (!drained_ && serves_) drain();
  for (auto* each : units_.all() | std::views::reverse)
    each->stop();
  for (auto* each : units_.all())
    each->join();
}

} // namespace penstock
