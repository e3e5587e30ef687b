// The time that a cluster counts limits in, so that they mean the same wherever a client's counters
// go, whatever the clocks of its nodes say.
#pragma once

#include "actors/directory/directory.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace penstock {

/// A node whose system clock is further from the members' is not let in: it is set wrong.
inline constexpr std::int64_t max_clock_difference_ns = 15 * 60 * 1'000'000'000ll;
/// Differences below this are how long records travel, and nothing is done about them.
inline constexpr std::int64_t ignored_clock_difference_ns = 100'000'000;
/// How fast the cluster's time goes to where its members' clocks are: one part in 256.
inline constexpr std::int64_t cluster_clock_slew = 256;

/// What was heard longer ago says nothing any more.
inline constexpr std::int64_t max_clock_age_ns = 1'500'000'000;
/// A record that tells a later time is damaged.
inline constexpr std::int64_t max_told_clock_ns = std::int64_t{1} << 61;

/// Pure. Who joins takes the time that the members have. From then on that time goes to the median
/// of their system clocks, so slowly that limits do not notice: all members see the same clocks,
/// and so they go together. A system clock that jumps on one node of three moves nothing. Where
/// most of them agree that the time is more than max_clock_difference_ns ahead, it is taken at
/// once.
///
/// Times are told relative to one steady clock of this node, which runs on while it sleeps.
class cluster_clock {
 public:
  cluster_clock(std::int64_t steady_ns, std::int64_t system_ns)
      : base_ns_(system_ns - steady_ns), own_ns_(base_ns_), moved_ns_(steady_ns) {}

  /// A member's record, as it comes; not what the directory held before, which may be old.
  void on_record(const std::string& address, const member_clocks& said, std::int64_t steady_ns);
  /// Takes the time of the members that are heard, if any is: before this node is one of them. To
  /// be called often, too.
  bool join(const std::vector<std::string>& members, std::int64_t steady_ns,
            std::int64_t system_ns);
  /// To be called often. `members`: those of the view, this node among them under `self`.
  void move(const std::vector<std::string>& members, const std::string& self,
            std::int64_t steady_ns, std::int64_t system_ns);

  /// The cluster's time, less the steady clock.
  std::int64_t base_ns() const { return base_ns_; }
  /// How far this node's system clock is ahead of the cluster's time.
  std::int64_t ahead_ns() const { return own_ns_ - base_ns_; }
  /// The same of the members' system clocks, when join() gave true last.
  bool is_far_off() const { return is_far_off_; }

 private:
  // Less the steady clock when the record came: the least delayed of the last records.
  struct heard {
    std::int64_t system_ns = 0;
    std::int64_t cluster_ns = 0;
    std::int64_t at_ns = 0;
  };

  bool is_fresh(const heard& of, std::int64_t steady_ns) const {
    return steady_ns - of.at_ns <= max_clock_age_ns;
  }

  std::int64_t base_ns_;
  std::int64_t own_ns_; // this node's system clock, less the steady one
  std::int64_t moved_ns_;
  bool is_far_off_ = false;
  boost::unordered_flat_map<std::string, heard> heard_; // bounded as members are
};

} // namespace penstock
