// The actor that decides who may send: it owns the counters of its share of the shards.
#pragma once

#include "actors/client_table.hpp"
#include "actors/messages.hpp"
#include "actors/metrics.hpp"
#include "actors/settings.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

namespace penstock {

/// What one limiter counts; see metrics.hpp for who may write and read.
struct alignas(64) limiter_metrics {
  counter requests_admitted; ///< of which at least one unit was granted
  counter units_granted;
  std::array<counter, max_limits_per_plan> refused_by_limit;
  std::array<counter, 4> refused_by_reason; ///< indexed by refusal
  gauge live_clients;                       ///< as of the last sweep, like table_bytes
  gauge table_bytes;
  counter clients_forgotten;
  counter messages; ///< admit requests taken from the mailbox
};

/// Gives nanoseconds since the epoch and never goes back; see wall_clock. The limiter calls it from
/// its own thread only.
using limiter_clock = std::function<std::int64_t()>;

/// Every `sweep_interval` a limiter looks at this many clients at most: under a millisecond even if
/// all are forgotten. A million idle clients are gone in 25 s.
inline constexpr std::chrono::milliseconds sweep_interval{50};
inline constexpr std::size_t sweep_visits = 2048;

class limiter_state {
 public:
  static constexpr const char* name = "limiter"; // CAF shows it

  // -- life ---------------------------------------------------------------------------------------

  void start(std::shared_ptr<const plan> rules, std::size_t max_clients, limiter_clock clock,
             std::shared_ptr<limiter_metrics> metrics);

  // -- decisions ----------------------------------------------------------------------------------

  admit_reply decide(const admit_request& request);

  // -- upkeep -------------------------------------------------------------------------------------

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
