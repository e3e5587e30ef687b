// Forgets the names of streams that nobody uses, and tells the log when there is none left.
#pragma once

#include "actors/interfaces/interfaces.hpp"
#include "actors/streams/stream_names.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace penstock {

/// It looks after the names this often; times of use are no finer.
inline constexpr std::chrono::milliseconds names_interval{1000};
/// That names were refused is logged this often at most.
inline constexpr std::int64_t names_told_interval_s = 60;

struct names_keeper_parts {
  std::shared_ptr<stream_names> names;
  /// The streams of which a sink or the queue has not settled everything; called once an interval
  /// on the actor's thread.
  std::function<std::vector<std::string>()> backlog;
  std::int64_t idle_s = stream_name_idle_s;
};

/// Has a tick of its own and ends when it is told to exit. It doesn't block.
class names_keeper_state {
 public:
  static constexpr const char* name = "names"; // CAF shows it

  void start(names_keeper_parts parts) { parts_ = std::move(parts); }
  /// `now_s`: of a steady clock.
  void upkeep(std::int64_t now_s);

 private:
  void tell(std::int64_t now_s);

  names_keeper_parts parts_;
  std::uint64_t told_full_ = 0; // of the counts of refusals
  std::uint64_t told_share_ = 0;
  std::int64_t quiet_until_s_ = 0;
};

names_keeper_handle::behavior_type
names_keeper(names_keeper_handle::stateful_pointer<names_keeper_state> self,
             names_keeper_parts parts);

} // namespace penstock
