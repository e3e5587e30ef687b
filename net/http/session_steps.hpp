// How far a connection's next request has come, and how long the client may take for it.
#pragma once

#include "net/http/session_deadline.hpp"
#include "net/http/session_environment.hpp"

#include <cstdint>

namespace penstock {

// clang-format off
/// What is read of a connection. Each step has a deadline of its own:
///
///            first byte           its header is whole
///   ┌> idle ───────────> header ───────────────────────> body ──> whole: handled when it is the
///   │                       │ the request is whole        │         │    connection's turn
///   │ <─────────────────────┴─────────────────────────────┴─────────┘
///   open()
///
///   from each of these, by the client's last request or the end of its input: ended
///   from these and ended, by what is wrong, late or too much: refused ──> lingering
///                                                                the answer is sent
///
/// When the last answer is sent, `ended` closes; `refused` reads on for a while, since unread bytes
/// may remain. Not synchronised.
// clang-format on
class session_steps {
 public:
  enum class step : std::uint8_t { idle, header, body, whole, ended, refused, lingering };

  explicit session_steps(const session_environment& env) : env_(env) {}

  /// The connection is another one.
  void open();
  step now() const { return step_; }
  /// No further request is taken.
  bool is_last_taken() const { return step_ >= step::ended; }
  /// `all_sent`: no answer waits for the socket, whose deadline would be another one.
  void enter(step to, bool all_sent);
  /// An answer was given: the client has as long for the next request as between two.
  void note_answered() { answered_before_ = true; }

  /// The deadline of the step begins anew.
  void restart_deadline();
  session_deadline& deadline() { return deadline_; }
  const session_deadline& deadline() const { return deadline_; }

 private:
  static bool may_follow(step from, step to);

  const session_environment& env_;
  step step_ = step::idle;
  session_deadline deadline_;
  bool answered_before_ = false;
};

} // namespace penstock
