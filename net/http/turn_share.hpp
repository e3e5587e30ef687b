// What one connection may have parsed in a turn of its loop.
#pragma once

#include "net/http/session_environment.hpp"

#include <cstddef>
#include <cstdint>

namespace penstock {

/// One connection must not hold up the others with what it has sent in advance, nor many together
/// those who send little.
///
///            wait()                          end_wait()
///   free ───────────> waiting for its turn ──────────────> free
///    ^ ^                   ^         │ begin_pass(): its turn has come
///    │ │                   │ wait()  v
///    │ └───────────────────┴──── on a pass: it need not ask whether others used up the turn
///    └──────────────────────────────┘ end_pass(), or it has had much
///
/// Not synchronised.
class turn_share {
 public:
  explicit turn_share(session_environment& env) : env_(env) {}

  /// Work that is done for the connection, in bytes parsed or as bytes worth as much.
  void note_work(std::size_t bytes) {
    work_bytes_ += bytes;
    env_.turn_work_bytes += bytes;
  }
  /// Whether so many bytes more may be parsed in this turn.
  bool has_room(std::size_t wanted_bytes);
  /// So many bytes are much, and others have used up the turn.
  bool must_wait(std::size_t wanted_bytes) const {
    return wanted_bytes > session_environment::little_bytes && env_.turn_is_used_up() &&
           state_ != state::pass;
  }

  bool is_waiting() const { return state_ == state::waiting; }
  void wait();
  /// Gives how long it waited.
  std::int64_t end_wait();
  void begin_pass();
  /// A request was handled: who has had much has no pass any more.
  void note_request() {
    if (state_ == state::pass && work_bytes_ >= session_environment::little_bytes)
      state_ = state::free;
  }
  void end_pass() {
    if (state_ == state::pass) state_ = state::free;
  }
  /// The connection is another one.
  void reset() { state_ = state::free; }

 private:
  enum class state : std::uint8_t { free, waiting, pass };

  session_environment& env_;
  state state_ = state::free;
  std::int64_t waits_since_ns_ = 0;
  std::uint64_t turn_ = 0;     // in which…
  std::size_t work_bytes_ = 0; // …so much was parsed
};

} // namespace penstock
