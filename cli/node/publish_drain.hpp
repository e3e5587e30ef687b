// The part of a drain that waits for sinks: what they are owed is published, until the deadline.
#pragma once

#include "actors/retention/backlog.hpp"
#include "cli/node/node_drain.hpp"
#include "cli/node/sinks_unit.hpp"
#include "storage/journal/journal.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace penstock {

class publish_drain {
 public:
  publish_drain(node_core& core, const journal& events, const sinks_unit& sinks,
                const queue_handle& queue, node_drain& by)
      : core_(core), events_(events), sinks_(sinks), queue_(queue), by_(by) {}

  /// Puts what consumers have not acknowledged on the board.
  void note_queue();
  /// Ends `replays` and the jobs of `dead_letters`, then waits while a sink takes something. What
  /// is not published by the deadline stays in the journal.
  void run(const replay_handle& replays, const dead_letters_handle& dead_letters);

 private:
  /// What a sink is owed at one moment.
  struct sink_debt {
    std::string sink;
    std::uint64_t events = 0;
  };

  bool look_at_sinks(stall_watch& watch);
  std::uint64_t queue_debt();
  void tell_what_is_left();

  node_core& core_;
  const journal& events_;
  const sinks_unit& sinks_;
  const queue_handle& queue_;
  node_drain& by_;
  std::vector<sink_debt> owed_; // when it looked last
};

} // namespace penstock
