// How far a node's drain is: written by the thread that drains, read by the admin plane.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace penstock {

/// What a drain does, in this order.
enum class drain_stage : std::uint8_t {
  serving,      ///< no drain was asked for
  announcing,   ///< not ready, but still serving: the cluster and load balancers are told
  answering,    ///< nobody new is let in; requests under way are answered
  handing_over, ///< leases go back, and shards with their counters to other nodes
  publishing,   ///< what sinks are owed is published
  closing,      ///< out of the directory; all that lasts is saved
  ended,
};
inline constexpr std::array<const char*, 7> drain_stage_names{
    "serving", "announcing", "answering", "handing_over", "publishing", "closing", "ended"};

/// What somebody who asks for a drain may say about it.
struct drain_request {
  std::optional<std::chrono::milliseconds> timeout_ms{}; ///< in place of node.drain_timeout
  bool wait_for_queue = false; ///< until consumers have acknowledged all, or the deadline
};

class drain_status {
 public:
  using clock = std::chrono::steady_clock;

  struct state {
    drain_stage stage = drain_stage::serving;
    std::optional<clock::time_point> deadline{}; ///< once it began
    std::set<std::string> given_up{};            ///< sinks that are not waited for any more
    /// That consumers have not acknowledged; known when the stage is publishing.
    std::optional<std::uint64_t> queue_events{};
    std::vector<std::string> left{}; ///< what was not finished, a sentence each
  };

  /// Notes what is wished; false: a drain was asked for before, and goes on as it was wished then.
  bool ask(const drain_request& request) {
    const std::lock_guard lock{mutex_};
    if (state_.stage != drain_stage::serving) return false;
    wanted_ = request;
    state_.stage = drain_stage::announcing; // it will be in a moment
    return true;
  }
  drain_request request() const {
    const std::lock_guard lock{mutex_};
    return wanted_.value_or(drain_request{});
  }
  template <class Change>
  void change(Change&& how) {
    const std::lock_guard lock{mutex_};
    std::forward<Change>(how)(state_);
  }
  state get() const {
    const std::lock_guard lock{mutex_};
    return state_;
  }

  /// Somebody looked at it, and may look again soon.
  void note_reader(clock::time_point now) { read_at_.store(now); }
  bool has_reader(clock::time_point now, std::chrono::milliseconds within) const {
    const clock::time_point at = read_at_.load();
    return at != never_read && now - at <= within;
  }

 private:
  mutable std::mutex mutex_;
  std::optional<drain_request> wanted_;
  state state_;
  // The clock may begin with the machine: its first hours are no long time ago.
  static constexpr clock::time_point never_read = clock::time_point::min();
  std::atomic<clock::time_point> read_at_{never_read};
};

} // namespace penstock
