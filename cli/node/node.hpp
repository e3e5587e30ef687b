// A running node: every actor, thread and socket of it is in one of its units.
#pragma once

#include "actors/base/drain_status.hpp"
#include "actors/extensions/extensions.hpp"
#include "cli/node/account_files.hpp"
#include "cli/node/accounts_unit.hpp"
#include "cli/node/admin_unit.hpp"
#include "cli/node/cluster_seat.hpp"
#include "cli/node/cluster_unit.hpp"
#include "cli/node/delivery_unit.hpp"
#include "cli/node/directory_unit.hpp"
#include "cli/node/extensions_unit.hpp"
#include "cli/node/idempotency_keys.hpp"
#include "cli/node/ingest_sockets.hpp"
#include "cli/node/journal_unit.hpp"
#include "cli/node/names_unit.hpp"
#include "cli/node/node_core.hpp"
#include "cli/node/replication_unit.hpp"
#include "cli/node/request_lanes.hpp"
#include "cli/node/sinks_unit.hpp"
#include "cli/node/storage_unit.hpp"
#include "cli/node/unit.hpp"
#include "cli/node/usage_rebuild_unit.hpp"
#include "cli/node/usage_unit.hpp"

#include <memory>
#include <string>
#include <vector>

namespace penstock {

/// The units of a node, each given those before it that it uses; in the order in which they start.
/// They are stopped in the opposite order.
class node_units {
 public:
  node_units(node_core& core, std::shared_ptr<drain_status> board,
             const std::vector<extension>& extra);

  const std::vector<unit*>& all() const { return all_; }

  cluster_seat seat;
  metrics_sources figures; ///< of all of them; complete once admin has started
  storage_unit storage;
  usage_unit usage;
  account_files account_data;
  ingest_sockets sockets;
  idempotency_keys keys;
  sinks_unit sinks;
  replication_unit replication;
  journal_unit journal;
  delivery_unit delivery;
  names_unit names;
  request_lanes lanes;
  directory_unit directory;
  accounts_unit accounts;
  usage_rebuild_unit usage_rebuild;
  extensions_unit more;
  cluster_unit cluster;
  admin_unit admin;

 private:
  std::vector<unit*> all_;
};

/// One thread uses a node (the one that waits for signals).
class node {
 public:
  /// `settings`: after settle_memory(), else bounds are those of a large machine. `memory_source`:
  /// where the memory's size is from, in words. `extra`: outlives the node. Opens what is on disk,
  /// starts all actors and listens. Errors: config, locked, unavailable, io.
  static result<std::unique_ptr<node>> start(const config& settings, std::string memory_source = {},
                                             const std::vector<extension>& extra = extensions());
  ~node();
  node(const node&) = delete;
  node& operator=(const node&) = delete;

  /// Takes over what can change while running: plans, streams, log level.
  void reload(const config& settings);

  /// Ends what the node does, in the order of drain_step (unit.hpp): others take over, requests
  /// under way are answered, sinks get what they are owed, all that lasts is saved. Blocks until
  /// then, or the deadline. True when nothing was left; the board and the log say what was.
  bool drain();

  /// Where events are taken, e.g. "127.0.0.1:8080", also when port 0 was asked for.
  const std::string& http_address() const { return units_.sockets.address(); }

 private:
  node(const config& settings, std::string memory_source, const std::vector<extension>& extra);

  node_core core_;
  std::shared_ptr<drain_status> drain_status_ = std::make_shared<drain_status>();
  node_units units_;
  bool serves_ = false;
  bool drained_ = false;
};

} // namespace penstock
