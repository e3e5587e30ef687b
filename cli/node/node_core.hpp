// What all units of a node share: its configuration, its actor system and its state.
#pragma once

#include "actors/base/node_state.hpp"
#include "cli/config/config.hpp"
#include "net/links/link_multiplexer.hpp"
#include "net/telemetry/metrics_page.hpp"

#include <cstdint>
#include <functional>
#include <string>

namespace penstock {

/// Made before all units and ends after them.
struct node_core {
  /// `memory_from`: where the memory's size is from, in words.
  node_core(const config& with, std::string memory_from);

  /// Whether there may be other nodes.
  bool has_peers() const { return settings.cluster.directory != directory_kind::none; }

  const config settings; ///< of the start
  const std::string memory_source;
  node_state state;
  linked_system_config system_settings;
  caf::actor_system system;
};

/// Tells of one use of memory, in the order of memory_use; of one without a bound nothing is told.
/// `used` is called on the admin thread.
void add_memory_use(metrics_sources& to, const config& settings, memory_use use,
                    std::function<std::uint64_t()> used);

/// Tells an actor to end, if there is one.
template <class Handle>
void tell_to_end(const Handle& which) {
  if (which) caf::anon_send_exit(which, caf::exit_reason::user_shutdown);
}

/// The same, and forgets it.
template <class Handle>
void end_actor(Handle& which) {
  tell_to_end(which);
  which = nullptr;
}

} // namespace penstock
