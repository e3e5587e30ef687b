// What a member may ask of the directory, and when; and the numbers of members.
#include "actors/cluster/directory_schedule.hpp"
#include "actors/cluster/member_numbers.hpp"

#include <catch2/catch.hpp>

using namespace penstock;

TEST_CASE("one request of a kind is under way at a time", "[membership]") {
  directory_schedule s;
  CHECK(s.may_open(0));
  s.begin_open();
  CHECK_FALSE(s.may_open(1));
  s.end_open(false, 1);
  CHECK_FALSE(s.is_open());
  CHECK_FALSE(s.may_open(open_again_ns));
  CHECK(s.may_open(1 + open_again_ns));
  s.end_open(true, 2);
  CHECK(s.is_open());
  CHECK_FALSE(s.may_open(2 + open_again_ns));

  s.begin_propose();
  CHECK_FALSE(s.may_propose());
  s.end_propose();
  CHECK(s.may_propose());
}

TEST_CASE("a record is renewed when it is due, or when others wait for it", "[membership]") {
  directory_schedule s;
  CHECK(s.may_renew(0));
  s.begin_renew(100);
  CHECK_FALSE(s.may_renew(100)); // the one before was not answered
  s.end_renew();
  CHECK_FALSE(s.may_renew(99));
  CHECK(s.may_renew(100));
  s.begin_renew(200);
  s.renew_soon();
  CHECK_FALSE(s.may_renew(150));
  s.end_renew();
  CHECK(s.may_renew(150));
}

TEST_CASE("stale records are looked for once an interval, and forgotten one by one",
          "[membership]") {
  directory_schedule s;
  CHECK(s.may_forget(0));
  s.begin_forget(std::nullopt, 0);
  CHECK_FALSE(s.may_forget(forget_interval_ns - 1));
  CHECK(s.may_forget(forget_interval_ns));
  s.begin_forget(membership::stale_record{"10.0.0.1:4200", 7}, forget_interval_ns);
  CHECK_FALSE(s.may_forget(3 * forget_interval_ns));
  const auto what = s.end_forget();
  REQUIRE(what.has_value());
  CHECK(what->address == "10.0.0.1:4200");
  CHECK_FALSE(s.end_forget().has_value());
  CHECK(s.may_forget(2 * forget_interval_ns));
}

TEST_CASE("members have numbers in the order in which they came", "[membership]") {
  member_numbers numbers;
  CHECK(numbers.add("a") == 0);
  CHECK(numbers.add("b") == 1);
  CHECK(numbers.add("a") == 0);
  CHECK(numbers.size() == 2);
  CHECK(numbers.find("b") == std::uint16_t{1});
  CHECK_FALSE(numbers.find("c").has_value());
  REQUIRE(numbers.address_of(1) != nullptr);
  CHECK(*numbers.address_of(1) == "b");
  CHECK(numbers.address_of(2) == nullptr);
}
