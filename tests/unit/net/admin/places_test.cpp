#include "net/admin/places.hpp"
#include "net/base/byte_bound.hpp"

#include <catch2/catch.hpp>

#include <vector>

using namespace penstock;

namespace {

constexpr auto a_stranger = admin_kind::stranger;
constexpr auto an_operator = admin_kind::operators;
constexpr auto a_consumer = admin_kind::consumers;

} // namespace

TEST_CASE("a stranger gives way to the next, the longest idle first", "[places]") {
  admin_places places{{.strangers = 3, .operators = 1, .consumers = 1}};
  const auto a = places.arrive().who, b = places.arrive().who, c = places.arrive().who;
  places.busy(a);
  places.idle(b); // later than c
  CHECK(places.arrive().goes == c);
  CHECK(places.arrive().goes == b);
  CHECK(places.count(a_stranger) == 3);
  // Both that came are idle; a, which is asking, goes only when nobody is idle.
  const auto d = places.arrive();
  CHECK(d.goes);
  CHECK(d.goes != a);
}

TEST_CASE("when all strangers ask, the one that does so longest goes", "[places]") {
  admin_places places{{.strangers = 2, .operators = 1, .consumers = 1}};
  const auto a = places.arrive().who, b = places.arrive().who;
  places.busy(a);
  places.busy(b);
  CHECK(places.arrive().goes == a);
}

TEST_CASE("consumers that wait leave operators their places", "[places]") {
  admin_places places{{.strangers = 2, .operators = 2, .consumers = 3}};
  for (int i = 0; i < 3; ++i) {
    const auto seat = places.take(places.arrive().who, a_consumer);
    CHECK(seat.given);
    CHECK_FALSE(seat.goes);
  }
  const auto late = places.arrive().who;
  CHECK_FALSE(places.take(late, a_consumer).given); // all have a request under way
  CHECK(places.is_stranger(late));
  CHECK(places.take(late, an_operator).given);
  CHECK_FALSE(places.is_stranger(late));
  CHECK(places.count(a_consumer) == 3);
  CHECK(places.count(an_operator) == 1);
  CHECK(places.count(a_stranger) == 0);
}

TEST_CASE("an idle connection of a kind gives way to a request of that kind", "[places]") {
  admin_places places{{.strangers = 9, .operators = 2, .consumers = 2}};
  const auto a = places.arrive().who, b = places.arrive().who, c = places.arrive().who;
  places.take(a, an_operator);
  places.take(b, an_operator);
  CHECK_FALSE(places.take(c, an_operator).given);
  places.writing(a);
  CHECK_FALSE(places.take(c, an_operator).given);
  places.idle(a);
  const auto seat = places.take(c, an_operator);
  CHECK(seat.given);
  CHECK(seat.goes == a);
  CHECK(places.count(an_operator) == 2);
  // Who was sent away has no place, whatever its coroutine still tries.
  CHECK_FALSE(places.take(a, an_operator).given);
  places.writing(a);
  places.idle(a);
  places.leave(a);
  CHECK(places.count(an_operator) == 2);
}

TEST_CASE("a connection changes its kind, and keeps its place within one", "[places]") {
  admin_places places{{.strangers = 2, .operators = 1, .consumers = 1}};
  const auto a = places.arrive().who;
  CHECK(places.take(a, an_operator).given);
  places.idle(a);
  CHECK(places.take(a, an_operator).given);
  CHECK(places.take(a, a_consumer).given);
  CHECK(places.count(an_operator) == 0);
  CHECK(places.count(a_consumer) == 1);
  places.leave(a);
  CHECK(places.count(a_consumer) == 0);
}

TEST_CASE("the answer that waits longest for its reader", "[places]") {
  admin_places places{{.strangers = 3, .operators = 1, .consumers = 1}};
  const auto a = places.arrive().who, b = places.arrive().who;
  CHECK_FALSE(places.longest_unread());
  places.writing(b);
  places.writing(a);
  CHECK(places.longest_unread() == b);
  places.idle(b);
  CHECK(places.longest_unread() == a);
}

TEST_CASE("bytes held together have a bound", "[places]") {
  byte_bound bound{100};
  {
    byte_bound::part a{bound}, b{bound};
    CHECK(a.resize(60));
    CHECK_FALSE(b.resize(41));
    CHECK(b.bytes() == 0);
    CHECK(b.resize(40));
    CHECK(bound.room() == 0);
    CHECK(a.resize(10));
    CHECK(b.resize(90));
    CHECK_FALSE(a.resize(11));
    a.force(500);
    CHECK(bound.held() == 590);
    CHECK(b.resize(20)); // less is always possible
    CHECK_FALSE(b.resize(21));
  }
  CHECK(bound.held() == 0);
  byte_bound::part alone{bound};
  CHECK(alone.resize(1'000)); // the largest can be held by itself
  byte_bound::part other{bound};
  CHECK_FALSE(other.resize(1));
}
