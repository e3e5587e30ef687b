// Who is in the cluster, as a store that all nodes share tells it: what actors need of such a
// store, whatever it is. net/directory/ has it on NATS.
#pragma once

#include "storage/base/result.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// A record as put_record() takes it and `listener::record` tells it; no value: there is none.
struct directory_record {
  std::string key;
  std::string value;

  bool operator==(const directory_record&) const = default;
};

/// What a member says of its clocks when it renews its record, in nanoseconds since the Unix epoch;
/// 0: it does not say.
struct member_clocks {
  std::int64_t system_ns = 0;
  std::int64_t cluster_ns = 0;

  bool operator==(const member_clocks&) const = default;
};

/// What a node says of itself. It renews this several times a second for as long as it lives.
struct member_record {
  std::string address{};     ///< its cluster address, by which the others know and reach it
  std::string incarnation{}; ///< another at each start of the process
  std::string node{};        ///< node.name
  std::string version{};     ///< of the program
  std::uint32_t wire_version = 0;
  bool leaving = false;    ///< it drains: no shards for it
  std::uint64_t epoch = 0; ///< of the last view it took; it decides by no earlier one any more
  /// Of the last view by which all that it was to get or give has moved. No value: a program that
  /// does not say so.
  std::optional<std::uint64_t> settled_epoch{};
  std::string secret_check{}; ///< of its cluster.secret; empty: a program that does not say so
  member_clocks clocks{};
  std::uint32_t requests_per_s = 0;
  std::uint64_t journal_bytes = 0;
  std::uint64_t lag_events = 0; ///< of the sink that is furthest behind
  std::uint64_t uptime_s = 0;

  bool operator==(const member_record&) const = default;
};

/// A member as views name it.
struct view_member {
  std::string address;
  std::string incarnation;
  bool leaving = false; ///< still there to hand over, but owns nothing

  bool operator==(const view_member&) const = default;
};

/// Members were taken out who may not know it yet. What was theirs must not be taken over before,
/// of each of these earlier views' members, half have seen the view with this number.
struct view_removal {
  std::uint64_t epoch = 0;
  std::vector<std::vector<std::string>> views{}; ///< addresses

  bool operator==(const view_removal&) const = default;
};

/// The most of these in a view, and the most views in one; see membership.
inline constexpr std::size_t max_view_removals = 16;
inline constexpr std::size_t max_removal_views = 16;

/// Who the members are, by number: each view follows the one before, on every node. Owners of
/// shards are computed from it, so nothing else needs agreement.
struct cluster_view {
  std::uint64_t epoch = 0;
  std::vector<view_member> members{}; ///< sorted by address
  std::vector<view_member> before{};  ///< the members of the view before: who owned what
  std::vector<view_removal> removals{};

  bool operator==(const cluster_view&) const = default;
};

/// The most members of a cluster.
inline constexpr std::size_t max_members = 256;

/// The largest value of put_record().
inline constexpr std::size_t max_directory_value_bytes = 64 * 1024;

/// A store that all nodes share. All calls but the constructor's come from one thread and may block
/// for some seconds at most; what the store tells is told from threads of its own.
class directory {
 public:
  /// What the store tells, what it holds first, then every change, in order. Must not block.
  struct listener {
    /// New, or renewed. The revision is of the record.
    std::function<void(member_record, std::uint64_t revision)> member;
    std::function<void(std::string address)> member_gone; ///< took itself out
    std::function<void(cluster_view, std::uint64_t revision)> view;
    std::function<void(std::string key, std::string value)> record; ///< see put_record()
    std::function<void()> watching; ///< what it held was told; again after each reconnect
    /// It is out of reach. What it told may be gone when it is back: it then tells all that it
    /// holds again, before `watching`.
    std::function<void()> away;
  };

  virtual ~directory() = default;

  /// Connects, makes what is missing, begins to tell. Errors: unavailable; then it may be called
  /// again.
  virtual result<void> open(listener to) = 0;
  /// Stores the record, and then reads the revision of the view, which it gives: 0 while there is
  /// none. That reading must be of the latest. Errors, of all below: unavailable, and nothing may
  /// be said of whether it was stored.
  virtual result<std::uint64_t> renew(const member_record& self) = 0;
  virtual result<void> leave(const std::string& address) = 0;
  /// Takes a dead member's record out, if it is still the one with this revision. False: it was
  /// renewed since, or is gone already.
  virtual result<bool> forget(const std::string& address, std::uint64_t revision) = 0;
  /// Stores the view if the one stored last has this revision; 0: if none is stored yet. False:
  /// another node was quicker, and its view will be told. If `watching` was told and no view before
  /// it, since the store lost it, any revision will do, for one node.
  virtual result<bool> propose(const cluster_view& next, std::uint64_t last_revision) = 0;
  /// Keys and plans: opaque here. An empty value takes the record out, and is told as such.
  virtual result<void> put_record(const std::string& key, const std::string& value) = 0;
};

} // namespace penstock
