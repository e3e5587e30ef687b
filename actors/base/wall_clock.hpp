// The time that limits are counted in: the system's, but never going back.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

namespace penstock {

/// What the clock last said. All times in nanoseconds, `wall` since the Unix epoch.
struct wall_time {
  std::int64_t steady_ns = 0;
  std::int64_t wall_ns = 0;
};

/// How fast the clock makes up for a difference to the system's: one part in 256, so that limits
/// are 0.4% off at most meanwhile. The drift of a clock that NTP keeps is a thousand times slower.
inline constexpr std::int64_t wall_clock_slew = 256;

/// The system's clock being ahead by more than this is a step (a suspended machine, a clock first
/// set), and taken at once. One behind is only ever approached by going slower.
inline constexpr std::int64_t wall_clock_step_ns = 1'000'000'000;

/// Pure: the time after `last`, given what the steady and the system clock say now. It never goes
/// back, whatever the system clock does; a steady reading that lies before the last one counts as
/// the last one.
constexpr wall_time advance(const wall_time& last, std::int64_t steady_ns, std::int64_t system_ns) {
  const std::int64_t passed = steady_ns > last.steady_ns ? steady_ns - last.steady_ns : 0;
  const std::int64_t expected = last.wall_ns + passed;
  const std::int64_t behind = system_ns - expected;
  if (behind > wall_clock_step_ns) return {last.steady_ns + passed, system_ns};
  const std::int64_t most = passed / wall_clock_slew;
  const std::int64_t slew = behind > most ? most : behind < -most ? -most : behind;
  return {last.steady_ns + passed, expected + slew};
}

/// The time that the nodes of a cluster share, less a steady clock of this node. One writes, all
/// read.
struct cluster_time {
  std::atomic<std::int64_t> base_ns{0};
  /// Counts times that it was set anew, whatever it was: before the node decides anything.
  std::atomic<std::uint32_t> settings{0};
};

/// The clock of one thread: a copyable callable that gives ns since the epoch. Not synchronised.
class wall_clock {
 public:
  wall_clock();
  /// Follows the cluster's time. `steady_ns`: the clock that it is told by.
  wall_clock(std::shared_ptr<const cluster_time> time, std::int64_t (*steady_ns)());
  std::int64_t operator()();

 private:
  wall_time last_;
  std::shared_ptr<const cluster_time> time_; // null: the system's
  std::int64_t (*steady_ns_)() = nullptr;
  std::uint32_t settings_ = 0;
};

} // namespace penstock
