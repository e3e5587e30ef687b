#include "net/http/turn_share.hpp"

#include "storage/base/assert.hpp"

namespace penstock {

bool turn_share::has_room(std::size_t wanted_bytes) {
  if (turn_ != env_.turn) {
    turn_ = env_.turn;
    work_bytes_ = 0;
  }
  return work_bytes_ < session_environment::max_turn_work_bytes && !must_wait(wanted_bytes);
}

void turn_share::wait() {
  PENSTOCK_ASSERT(state_ != state::waiting); // the lane has it in its list once
  state_ = state::waiting;
  waits_since_ns_ = env_.loop.now_ns();
}

std::int64_t turn_share::end_wait() {
  PENSTOCK_ASSERT(state_ == state::waiting);
  state_ = state::free;
  return env_.loop.now_ns() - waits_since_ns_;
}

void turn_share::begin_pass() {
  PENSTOCK_ASSERT(state_ == state::free);
  state_ = state::pass;
  turn_ = env_.turn;
  work_bytes_ = 0;
}

} // namespace penstock
