// The actor that decides who may send: it owns the counters of its share of the shards.
#pragma once

#include "actors/client_table.hpp"
#include "actors/messages.hpp"
#include "actors/settings.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

namespace penstock {

/// What one limiter counts. Written by the limiter alone, read by any thread; relaxed, so figures
/// read together may be a message apart.
struct limiter_metrics {
  std::atomic<std::uint64_t> requests_admitted{0}; ///< of which at least one unit was granted
  std::atomic<std::uint64_t> units_granted{0};
  std::array<std::atomic<std::uint64_t>, max_limits_per_plan> refused_by_limit{};
  std::array<std::atomic<std::uint64_t>, 4> refused_by_reason{}; ///< indexed by refusal
  std::atomic<std::uint64_t> live_clients{0};
  std::atomic<std::uint64_t> table_bytes{0};
  std::atomic<std::uint64_t> clients_forgotten{0};
};

/// Gives nanoseconds since the epoch and never goes back; see wall_clock. The limiter calls it from
/// its own thread only.
using limiter_clock = std::function<std::int64_t()>;

/// Every `sweep_interval` a limiter looks at this many clients at most: under a millisecond even if
/// all are forgotten. A million idle clients are gone in 25 s.
inline constexpr std::chrono::milliseconds sweep_interval{100};
inline constexpr std::size_t sweep_visits = 4096;

class limiter_state {
 public:
  // -- life
  // ----------------------------------------------------------------------------------------

  void start(std::shared_ptr<const plan> rules, std::size_t max_clients, limiter_clock clock,
             std::shared_ptr<limiter_metrics> metrics);

  // -- decisions
  // -----------------------------------------------------------------------------------

  admit_reply decide(const admit_request& request);

  // -- upkeep
  // --------------------------------------------------------------------------------------

  void sweep();
  void change_plan(std::shared_ptr<const plan> rules);

 private:
  verdict decide(const admit_item& item, std::int64_t now_ns);
  void publish_size();

  std::shared_ptr<const plan> rules_;
  limiter_clock clock_;
  std::shared_ptr<limiter_metrics> metrics_;
  client_table table_{0, 0};
};

/// Answers admit_request with admit_reply; takes plan_changed, sweep_tick (its own) and drain, at
/// which it quits: the composer sends that last, once no front end asks any more.
/// `settings.max_clients` is what this one limiter may track: the composer divides a node's bound
/// among its limiters. `rules`, `clock` and `metrics` are not null; each limiter has its own
/// metrics.
caf::behavior limiter(caf::stateful_actor<limiter_state>* self, std::shared_ptr<const plan> rules,
                      limiter_settings settings, limiter_clock clock,
                      std::shared_ptr<limiter_metrics> metrics);

} // namespace penstock
