// What all actors of a node share: a few atomics, written by one and read by many.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

namespace penstock {

/// How a node stands to the cluster that it is to be in.
enum class cluster_standing : std::uint8_t {
  in,             ///< also of a node that is alone, or that is ready without its cluster
  no_directory,   ///< nothing was heard of the directory yet
  not_let_in,     ///< no view names it
  full,           ///< the cluster has as many members as it may
  other_secret,   ///< than the members have
  other_clock,    ///< its clock is too far from theirs
  without_shards, ///< it is a member, and counters of its shards are still to come
};

/// Read on the request path without a lock or a message.
struct node_state {
  /// The next sequence number to give out. A front end draws a range for the events of a turn and
  /// the journal commits in this order, so that ids are in journal order whichever thread gave
  /// them, and an answer need not wait for the journal to know its id.
  alignas(64) std::atomic<std::uint64_t> next_ticket{1};
  /// The journal can't take more (its cap, or a full disk): 507 before anything is charged.
  alignas(64) std::atomic<bool> journal_full{false};
  std::atomic<bool> disk_full{false}; ///< with journal_full: it is the disk, not the cap
  /// The journal nears its cap: 507 for the streams that are expendable.
  std::atomic<bool> journal_scarce{false};
  /// The journal's last write failed, or its files are not where they were: 503, and not ready.
  std::atomic<bool> journal_failed{false};
  /// Open connections of all front ends, against http.max_connections; not touched by requests.
  std::atomic<std::int64_t> connections{0};
  std::atomic<bool> draining{false};
  std::atomic<bool> ready{false};
  std::atomic<cluster_standing> standing{cluster_standing::in};
  std::string tag; ///< of event ids; set before the first actor starts
  /// All peers that answer refuse this node: they do not fit. Null: it has none, or is ready
  /// without them. Set before the first actor starts.
  std::shared_ptr<const std::atomic<bool>> is_refused;
};

} // namespace penstock
