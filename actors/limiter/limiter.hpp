// The actor that decides who may send: it owns the counters of its share of the shards.
#pragma once

#include "actors/base/lifecycle_messages.hpp"
#include "actors/base/metrics.hpp"
#include "actors/cluster/membership_messages.hpp"
#include "actors/interfaces/interfaces.hpp"
#include "actors/limiter/limiter_cluster.hpp"
#include "actors/limiter/limiter_context.hpp"
#include "actors/limits/limit_ledger.hpp"
#include "actors/limits/limit_messages.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace penstock {

/// What one limiter counts; see metrics.hpp for who may write and read.
struct alignas(64) limiter_metrics {
  counter requests_admitted; ///< of which at least one unit was granted
  counter units_granted;
  std::array<counter, max_counted_limits> refused_by_limit;  ///< indexed as limit_labels says
  std::array<counter, max_counted_limits> shadowed_by_limit; ///< would have been, but for `shadow`
  std::array<counter, refusal_count> refused_by_reason;      ///< indexed by refusal
  gauge live_clients; ///< as of the last sweep, like table_bytes
  gauge table_bytes;
  counter clients_forgotten;
  counter messages;   ///< admit requests taken from the mailbox
  counter rows_saved; ///< of counters that survive a restart, confirmed by the store
};

/// Gives nanoseconds since the epoch and never goes back; see wall_clock. The limiter calls it from
/// its own thread only.
using limiter_clock = std::function<std::int64_t()>;

/// Every `sweep_interval` a limiter looks at this many clients at most: under a millisecond even if
/// all are forgotten. A million idle clients are gone in 25 s.
inline constexpr std::chrono::milliseconds sweep_interval{50};
inline constexpr std::size_t sweep_visits = 2048;

/// Every `save_interval` a limiter hands over what changed of the counters that survive a restart,
/// in at most about this many rows, and not before the last hand-over is durable. So a crash
/// forgets what was charged since the last one that is: half a second's use and the time of a
/// commit, as long as no more rows than that change in an interval. Beyond it the rest waits its
/// turn.
inline constexpr std::chrono::milliseconds save_interval{500};
inline constexpr std::size_t max_rows_per_save = 16'384;

/// What a limiter is made of; each has its own ledger and metrics.
struct limiter_parts {
  /// With the plans in it, and what was restored. `max_clients` in it is what this one limiter may
  /// track: the composer divides a node's bound among its limiters.
  std::shared_ptr<limit_ledger> ledger;
  limiter_clock clock;
  std::shared_ptr<limiter_metrics> metrics;
  counters_handle counters; ///< takes counters_changed; null: nothing survives a restart
  std::optional<limiter_cluster_parts> cluster{}; ///< none: the node is alone, all is here
};

class limiter_state {
 public:
  static constexpr const char* name = "limiter"; // CAF shows it

  // -- life ---------------------------------------------------------------------------------------

  void start(limiter_parts parts, limiter_self::pointer self);

  // -- decisions ----------------------------------------------------------------------------------

  admit_reply decide(const admit_request& request, const front_end_handle& front_end);
  limits_reply look_up(const limits_query& query);
  limiter_cluster* cluster() { return cluster_ ? &*cluster_ : nullptr; }

  // -- upkeep -------------------------------------------------------------------------------------

  void sweep();
  void change_plans(const plan_list& plans);

  // -- what survives ------------------------------------------------------------------------------

  /// The next hand-over; none while one is under way and when nothing changed.
  std::optional<counters_changed> begin_save();
  void end_save();
  bool all_saved() const { return !saving_ && !has_to_save(); }

  const counters_handle& counters() const { return parts_.counters; }
  caf::response_promise drained; ///< pending while what is left is being saved
  caf::response_promise left;    ///< pending while shards are being handed over

 private:
  limit_ledger::decision decide(const limit_ledger::location& at, const admit_item& item,
                                std::span<const std::uint32_t> sizes, std::int64_t now_ns);
  void publish_size();
  bool has_to_save() const;

  limiter_parts parts_;
  std::optional<limiter_cluster> cluster_;
  std::vector<limit_ledger::location> located_; // of the request under way; kept for its memory
  std::shared_ptr<const std::vector<counter_row>> saving_; // the hand-over under way
};

/// Answers admit_request with admit_reply and limits_query with limits_reply; takes plans_changed,
/// counters_saved and its own ticks. In a cluster also what other nodes' limiters send (see
/// cluster_messages.hpp), peer_up, peer_down and placement_changed; leave_shards is answered with
/// shards_gone once all that was here has been handed over. At `drain` it decides no more: once all
/// that survives is saved it answers `drained` and quits. The composer sends that last, when no
/// front end asks any more.
limiter_self::behavior_type limiter(limiter_self::stateful_pointer<limiter_state> self,
                                    limiter_parts parts);

} // namespace penstock
