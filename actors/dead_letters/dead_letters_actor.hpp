// The actor that owns the dead letters: it keeps them, and sends them again when asked to.
#pragma once

#include "actors/dead_letters/dead_letter_messages.hpp"
#include "actors/dead_letters/dead_letter_metrics.hpp"
#include "actors/dead_letters/job_runner.hpp"
#include "actors/interfaces/interfaces.hpp"
#include "storage/stores/dead_letter_store.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

namespace penstock {

/// Counts are published so long after a change.
inline constexpr std::chrono::milliseconds dead_letters_publish_interval{200};
/// Letters in one page, at most.
inline constexpr std::uint32_t max_dead_letters_page = 1000;

/// What each sink is: name to kind.
using sink_kinds = std::map<std::string, std::string>;

/// Not ok, naming what to do, for a sink that nothing can be sent to again.
result<void> check_replay_sink(const sink_kinds& sinks, const std::string& sink,
                               const std::string& stream);

struct dead_letters_parts {
  std::shared_ptr<dead_letter_store> store;
  sink_kinds sinks;
  std::shared_ptr<dead_letter_metrics> metrics;
  std::function<std::int64_t()> wall_ms; ///< milliseconds since the Unix epoch
  letter_share unconfigured{}; ///< what the streams that nobody configured may have together
};

/// With its own reminders.
using dead_letters_self =
    dead_letters_handle::extend<caf::reacts_to<job_step>, caf::reacts_to<caf::tick_atom>>;

class dead_letters_state {
 public:
  static constexpr const char* name = "dead_letters"; // CAF shows it
  using self_ptr = dead_letters_self::stateful_pointer<dead_letters_state>;

  explicit dead_letters_state(self_ptr self) : self_(self) {}

  void start(dead_letters_parts parts);

  dead_letters_stored store_dead_letters(const struct store_dead_letters& request);
  dead_letters_page_ptr list(const list_dead_letters& request);
  dead_letters_dropped drop(const drop_dead_letters& request);
  job_answer retry(const retry_dead_letters& request);
  job_runner& runner() { return runner_; }
  void publish();

 private:
  result<job_chunk> next(const delivery_job& job, std::size_t max_events);
  result<void> leave_out(const retry_chunk& chunk, const delivery_job& job);
  void settle(const delivery_job& after, const job_chunk& chunk, const again_done& done,
              const std::function<void(result<void>)>& then);
  void changed();

  self_ptr self_;
  dead_letters_parts parts_;
  job_runner runner_;
  bool publishing_ = false;
};

/// Takes store_dead_letters_ptr, and what dead_letter_messages.hpp says of letters and retries. A
/// retry sends letters with the ids that they had: a sink that refused an event does not take its
/// id for a duplicate, and one that a crash repeats is dropped by sinks that deduplicate. At
/// `drain` it starts no more, and answers drained when nothing is under way; it still keeps what
/// publishers store. It blocks on the disk: spawn it detached.
dead_letters_self::behavior_type
dead_letters_actor(dead_letters_self::stateful_pointer<dead_letters_state> self,
                   dead_letters_parts parts);

} // namespace penstock
