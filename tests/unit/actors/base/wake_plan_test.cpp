#include "actors/base/wake_plan.hpp"

#include <catch2/catch.hpp>

using namespace penstock;

TEST_CASE("of an actor's reminders the earliest counts, and only once") {
  wake_plan plan;
  CHECK(plan.plan(100));
  CHECK_FALSE(plan.plan(100));
  CHECK_FALSE(plan.plan(200)); // one comes earlier
  CHECK(plan.plan(50));
  CHECK_FALSE(plan.take(100)); // void since the earlier one
  CHECK(plan.take(50));
  CHECK_FALSE(plan.take(50));
  CHECK(plan.plan(100)); // none is under way
}

TEST_CASE("a reminder may be for the beginning of a clock") {
  wake_plan plan;
  CHECK_FALSE(plan.take(0));
  CHECK(plan.plan(0));
  CHECK(plan.take(0));
}
