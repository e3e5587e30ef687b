// The end of a node's life: others take over, and what was promised is kept.
#pragma once

#include "actors/base/compat.hpp"
#include "actors/base/drain_status.hpp"
#include "actors/base/lifecycle_messages.hpp"
#include "actors/interfaces/interfaces.hpp"
#include "cli/node/node_core.hpp"
#include "cli/node/unit.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

namespace penstock {

/// How long the directory may take to note that this node leaves. When it is away nobody can take
/// over, and requests under way must not lose their time to it.
inline constexpr std::chrono::seconds announce_time{3};
/// How long other nodes may take to confirm this one's shards: far more than they need.
inline constexpr std::chrono::seconds hand_over_time{17};
/// How often it looks what sinks are still owed, and what has gone to other nodes.
inline constexpr std::chrono::milliseconds drain_look_interval{50};
/// How long an actor may take to say how it stands.
inline constexpr std::chrono::seconds debt_answer_time{1};
/// How long the actors that save something get in the end, whatever the deadline.
inline constexpr std::chrono::seconds storage_drain_time{10};

/// What is left until then for a request, never nothing.
std::chrono::milliseconds time_until(std::chrono::steady_clock::time_point until);

/// One drain: leads the units through all steps, in the order of drain_step, and tells the board.
/// Units call it from their drain().
class node_drain {
 public:
  using clock = std::chrono::steady_clock;

  node_drain(node_core& core, const std::vector<unit*>& units, drain_status& board);

  /// Blocks until all is done, or the deadline. True when nothing was left; the board and the log
  /// say what was.
  bool run();

  /// Of the steps up to `publish`: node.drain_delay and node.drain_timeout, or what was wished. Of
  /// those that follow: storage_drain_time.
  clock::time_point deadline() const { return deadline_; }
  /// So much from now, but no later than the deadline.
  clock::time_point soon(std::chrono::milliseconds time) const;
  drain_status& board() { return board_; }

  /// Something was not finished.
  void leave_over(std::string what);
  /// Sends `message` to `who` and waits for an Answer; null answers at once. False: it did not in
  /// time.
  template <class Answer, class Handle, class Message>
  bool ask(const Handle& who, clock::time_point until, const Message& message);
  bool ask_to_drain(const drainable_handle& who, clock::time_point until);
  /// Has an actor save what lasts; what it is, is left over if it can't in time.
  void save(const drainable_handle& who, const std::string& what);

 private:
  void begin();
  void enter(drain_stage stage);
  void take(drain_step step);

  node_core& core_;
  const std::vector<unit*>& units_;
  drain_status& board_;
  clock::time_point deadline_{};
};

template <class Answer, class Handle, class Message>
bool node_drain::ask(const Handle& who, clock::time_point until, const Message& message) {
  if (!who) return true;
  bool ok = false;
  caf::scoped_actor self{core_.system};
  self->request(who, time_until(until), message)
      .receive([&](Answer) { ok = true; }, [](caf::error&) {});
  return ok;
}

} // namespace penstock
