// What one connection may have parsed in a turn, beside others.
#include "net/http/turn_share.hpp"

#include "tests/unit/net/http/session_support.hpp"

using namespace penstock;

namespace {

constexpr auto much_bytes = session_environment::little_bytes + 1;

/// The shares of two connections of one lane.
class share_fixture : public session_fixture {
 public:
  turn_share one{*env}, other{*env};

  /// As after the turns in which others waited.
  void use_up_turn() { other.note_work(session_environment::max_lane_work_bytes); }
};

} // namespace

TEST_CASE_METHOD(share_fixture, "a connection has its share of a turn, and anew in the next",
                 "[turn_share]") {
  CHECK(one.has_room(much_bytes));
  one.note_work(session_environment::max_turn_work_bytes - 1);
  CHECK(one.has_room(1)); // what has begun is finished
  one.note_work(1);
  CHECK_FALSE(one.has_room(1));
  CHECK_FALSE(one.has_room(0));
  CHECK(other.has_room(1)); // little, of a turn that is used up

  env->end_turn();
  CHECK(one.has_room(much_bytes));
}

TEST_CASE_METHOD(share_fixture, "in a turn that others used up, who has much waits",
                 "[turn_share]") {
  other.note_work(session_environment::max_lane_work_bytes - 1);
  CHECK(one.has_room(much_bytes));
  other.note_work(1);
  CHECK_FALSE(one.has_room(much_bytes));
  CHECK(one.must_wait(much_bytes));
  CHECK(one.has_room(session_environment::little_bytes));
  CHECK_FALSE(one.must_wait(session_environment::little_bytes));
}

TEST_CASE_METHOD(share_fixture, "who waited has a pass until it has had much", "[turn_share]") {
  use_up_turn();
  one.wait();
  CHECK(one.is_waiting());
  pass(5 * ms);
  CHECK(one.end_wait() == 5 * ms);
  CHECK_FALSE(one.is_waiting());
  CHECK(one.must_wait(much_bytes)); // the wait alone gives none

  one.begin_pass();
  CHECK(one.has_room(much_bytes));
  one.note_work(session_environment::little_bytes - 1);
  one.note_request();
  CHECK(one.has_room(much_bytes)); // a few that are small
  one.note_work(1);
  CHECK(one.has_room(much_bytes)); // the request is not whole
  one.note_request();
  CHECK_FALSE(one.has_room(much_bytes));
  one.end_pass();
  CHECK_FALSE(one.has_room(much_bytes));
}

TEST_CASE_METHOD(share_fixture, "a pass ends with its turn, or with another wait", "[turn_share]") {
  use_up_turn();
  one.begin_pass();
  one.end_pass();
  CHECK(one.must_wait(much_bytes));

  one.begin_pass();
  one.wait();
  CHECK(one.is_waiting());
  one.end_pass(); // it is none any more, and the wait goes on
  CHECK(one.is_waiting());
  one.reset();
  CHECK_FALSE(one.is_waiting());
}

TEST_CASE_METHOD(share_fixture, "a pass begins a new share", "[turn_share]") {
  one.note_work(session_environment::max_turn_work_bytes);
  CHECK_FALSE(one.has_room(1));
  one.wait();
  one.end_wait();
  one.begin_pass();
  CHECK(one.has_room(1));
}
