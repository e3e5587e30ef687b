// Saves what clients used of the limits that survive a restart, off the lanes.
#pragma once

#include "actors/base/metrics.hpp"
#include "actors/interfaces/interfaces.hpp"
#include "storage/stores/counter_store.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace penstock {

/// What can't be saved is tried again this often, and as often the store is rid of idle rows, of
/// which it looks at this many.
inline constexpr std::chrono::milliseconds counters_interval{500};
inline constexpr std::size_t idle_rows_a_look = 4096;

struct counters_metrics {
  counter rows;     ///< saved
  counter saves;    ///< transactions
  counter failures; ///< transactions that failed, each of which is tried again
  counter removed;  ///< rows deleted because they said nothing any more
};

struct counters_parts {
  std::shared_ptr<counter_store> store;
  std::shared_ptr<counters_metrics> metrics;
  std::function<std::int64_t()> wall_ns; ///< nanoseconds since the Unix epoch
};

/// With its own reminder.
using counters_self = counters_handle::extend<caf::reacts_to<caf::tick_atom>>;

class counters_state {
 public:
  static constexpr const char* name = "counters"; // CAF shows it

  struct hand_over {
    limiter_handle from;
    std::shared_ptr<const std::vector<counter_row>> rows;
    std::vector<shard_mark> marks{};
  };

  void start(counters_parts parts) { parts_ = std::move(parts); }
  /// False when it could not be saved: it is kept and tried again.
  bool save(hand_over what);
  /// Those kept that could be saved now.
  std::vector<hand_over> retry();
  void remove_idle();

 private:
  bool write(const hand_over& what);

  counters_parts parts_;
  std::vector<hand_over> kept_; // at most one a limiter, since none hands over two
  std::string last_problem_;    // told once, not twice a second
};

/// Answers counters_changed with counters_saved once the rows are durable, and `drain` with
/// `drained`; it quits then. It blocks on the disk: spawn it detached.
counters_self::behavior_type counters_actor(counters_self::stateful_pointer<counters_state> self,
                                            counters_parts parts);

} // namespace penstock
