// The actor that sends a range of the journal to a sink again: replays as jobs.
#pragma once

#include "actors/dead_letters/dead_letter_messages.hpp"
#include "actors/dead_letters/dead_letter_metrics.hpp"
#include "actors/dead_letters/dead_letters_actor.hpp"
#include "actors/dead_letters/job_runner.hpp"
#include "actors/interfaces/interfaces.hpp"
#include "storage/journal/journal_reader.hpp"
#include "storage/journal/segment_catalog.hpp"
#include "storage/stores/replay_store.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace penstock {

/// One read of the journal for a job gives about this much.
inline constexpr std::size_t replay_read_bytes = 4u << 20;

struct replay_parts {
  std::shared_ptr<replay_store> store;
  std::shared_ptr<journal_reader> reader; ///< for this actor alone
  std::shared_ptr<segment_catalog> catalog;
  std::string tag; ///< the journal's
  sink_kinds sinks;
  dead_letter_intake_handle dead_letters; ///< keeps what a sink refuses
  std::shared_ptr<replay_metrics> metrics;
  std::function<std::int64_t()> wall_ms; ///< milliseconds since the Unix epoch
};

/// With its own reminder.
using replay_self = replay_handle::extend<caf::reacts_to<job_step>>;

class replay_state {
 public:
  static constexpr const char* name = "replay"; // CAF shows it
  using self_ptr = replay_self::stateful_pointer<replay_state>;

  explicit replay_state(self_ptr self) : self_(self) {}

  void start(replay_parts parts);

  job_answer begin(const start_replay& request);
  job_answer cancel(std::uint64_t number);
  job_answer resume(std::uint64_t number);
  job_runner& runner() { return runner_; }

 private:
  /// What a job read of the journal and has not sent yet.
  struct reading {
    std::vector<std::shared_ptr<const event_block>> blocks;
    std::size_t block = 0;
    std::uint64_t next_seq = 0; ///< where the blocks go on; must be the job's
  };
  struct range {
    std::uint64_t first = 0, last = 0;
  };

  result<range> resolve(const start_replay& request);
  result<std::uint64_t> first_seq(const start_replay& request, const segment_info& begin);
  error retired(const segment_info& begin) const;
  result<job_chunk> next(const delivery_job& job, std::size_t max_events);
  void settle(const delivery_job& after, const job_chunk& chunk, const again_done& done,
              const std::function<void(result<void>)>& then);
  result<void> finish(delivery_job& job);
  void note_running();

  self_ptr self_;
  replay_parts parts_;
  job_runner runner_;
  std::map<std::uint64_t, reading> readings_; // by job
};

/// Takes what dead_letter_messages.hpp says of replays and jobs. Each job adds "-rN" to the ids of
/// its events, so that a sink which deduplicates takes them once more, and only once also when a
/// crash makes the job repeat some. Events that the sink refuses become dead letters. At `drain` it
/// sends nothing more and answers drained when nothing is under way; jobs go on at the next start.
/// It blocks on the disk: spawn it detached.
replay_self::behavior_type replay_actor(replay_self::stateful_pointer<replay_state> self,
                                        replay_parts parts);

} // namespace penstock
