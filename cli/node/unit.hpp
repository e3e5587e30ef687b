// What a node is made of: parts that start, drain and stop together.
#pragma once

#include "actors/base/drain_status.hpp"
#include "net/telemetry/metrics_page.hpp"
#include "storage/base/result.hpp"

#include <cstdint>
#include <string_view>

namespace penstock {

class node_drain;

/// What a drain does, one after the other; each belongs to a drain_stage (node_drain.cpp says to
/// which). A unit takes part in those in which it has something to do.
enum class drain_step : std::uint8_t {
  begin,           ///< nothing new of its own begins
  announce,        ///< the cluster is told that this node leaves
  answer,          ///< nobody new is let in; requests under way are answered
  hand_over,       ///< leases and shards go to other nodes
  pass_on,         ///< what is held for other nodes, to nodes that stay
  commit,          ///< what is in the journal's mailbox becomes durable
  count_backlog,   ///< what consumers are owed goes on the board
  publish,         ///< what sinks are owed is published
  tell_holders,    ///< who holds this node's events is told which are published
  leave,           ///< out of the directory; links close
  save_events,     ///< the journal closes
  save_deliveries, ///< cursors, replays, dead letters
  save_replicas,   ///< other nodes' events
  save_usage,
  save_counters,   ///< of limits
  save_extensions, ///< last: they have heard of all others
};

/// A part of a node with its actors, threads and figures. A unit opens what it needs in start(),
/// and gets at what other units own by references that its constructor takes; those stand before it
/// in the node's list. One thread calls a unit: the one that owns the node.
class unit {
 public:
  unit() = default;
  virtual ~unit() = default;
  unit(const unit&) = delete;
  unit& operator=(const unit&) = delete;

  virtual std::string_view name() const = 0;
  /// Opens its files and sockets and starts its actors; once. Errors end the start of the node:
  /// config, locked, unavailable, io, corrupt.
  virtual result<void> start() = 0;
  /// Does its share of one step; `by` has the deadline, and takes what was not finished.
  virtual void drain(drain_step, node_drain&) {}
  /// A drain is at this stage now.
  virtual void on_stage(drain_stage) {}
  /// Tells its actors to end, and does not wait. Also after a start that failed, or none.
  virtual void stop() {}
  /// Waits until its threads have ended; stop() was called for all units before.
  virtual void join() {}
  /// Adds where its figures are; they outlive the admin plane.
  virtual void add_figures(metrics_sources&) {}
};

} // namespace penstock
