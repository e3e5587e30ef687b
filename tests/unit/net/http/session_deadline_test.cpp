#include "net/http/session_deadline.hpp"

#include <catch2/catch.hpp>

using namespace penstock;

namespace {

constexpr std::int64_t deadline_second_ns = 1'000'000'000;

} // namespace

TEST_CASE("a step of the client has its time, and more for what it waited for us") {
  session_deadline d;
  d.start(deadline_second_ns, 2 * deadline_second_ns);
  CHECK(d.is_of_client());
  CHECK(d.since_ns() == deadline_second_ns);
  CHECK_FALSE(d.has_passed(3 * deadline_second_ns - 1));
  CHECK(d.has_passed(3 * deadline_second_ns));
  d.prolong(deadline_second_ns);
  CHECK_FALSE(d.has_passed(3 * deadline_second_ns));
  CHECK(d.has_passed(4 * deadline_second_ns));
  CHECK(d.since_ns() == 2 * deadline_second_ns);
}

TEST_CASE("where an answer is late the client has all the time there is") {
  session_deadline d;
  d.start(0, deadline_second_ns);
  d.suspend();
  CHECK_FALSE(d.is_of_client());
  CHECK_FALSE(d.has_passed(1'000'000 * deadline_second_ns));
  d.prolong(deadline_second_ns); // without overflow
  CHECK_FALSE(d.has_passed(1'000'000 * deadline_second_ns));
  d.start(deadline_second_ns, deadline_second_ns);
  CHECK(d.is_of_client());
  CHECK(d.has_passed(2 * deadline_second_ns));
}

TEST_CASE("a socket that takes no more has its time anew with each progress, but not for ever") {
  session_deadline d;
  d.start(0, 100 * deadline_second_ns);
  d.block(deadline_second_ns, 30 * deadline_second_ns, 0,
          40'960); // ten seconds more at 4 KiB a second
  CHECK(d.is_blocked());
  CHECK(d.since_ns() == deadline_second_ns);
  CHECK(d.has_passed(31 * deadline_second_ns));
  d.block(8 * deadline_second_ns, 30 * deadline_second_ns, 1, 40'959);
  CHECK_FALSE(d.has_passed(38 * deadline_second_ns - 1));
  CHECK(d.has_passed(38 * deadline_second_ns));
  CHECK(d.sent_since(1) == 1);
  for (std::int64_t at_s = 9; at_s <= 40; ++at_s)
    d.block(at_s * deadline_second_ns, 30 * deadline_second_ns, static_cast<std::size_t>(at_s),
            static_cast<std::size_t>(40'960 - at_s));
  CHECK_FALSE(d.has_passed(41 * deadline_second_ns - 1));
  CHECK(d.has_passed(41 * deadline_second_ns));
}
