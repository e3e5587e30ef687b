// What a crash would admit again.
#include "actors/limiter/unconfirmed_units.hpp"

#include <catch2/catch.hpp>

using namespace penstock;

static bool to_all(std::uint64_t) {
  return true;
}

TEST_CASE("unconfirmed units: counted until they are confirmed", "[limiter]") {
  unconfirmed_units units;
  units.add(1, 5);
  units.add(2, 0);
  units.add(1, 3);
  CHECK(units.of(1) == 8);
  CHECK(units.of(2) == 0);
  CHECK(units.unsent() == 8);
  const auto first = units.take_unsent(to_all);
  REQUIRE(first.size() == 1);
  CHECK(first[0].units == 8);
  CHECK(units.unsent() == 0);
  CHECK(units.all() == 8);

  units.add(1, 2);
  const auto second = units.take_unsent(to_all);
  units.confirm(first);
  CHECK(units.of(1) == 2);
  units.confirm(second);
  CHECK(units.of(1) == 0);
  CHECK(units.all() == 0);
}

TEST_CASE("unconfirmed units: what can't be sent stays, however much it becomes", "[limiter]") {
  unconfirmed_units units;
  constexpr std::uint32_t many = UINT32_MAX;
  for (int i = 0; i < 3; ++i)
    units.add(7, many);
  CHECK(units.take_unsent([](std::uint64_t client) { return client != 7; }).empty());
  CHECK(units.of(7) == 3 * std::uint64_t{many});
  units.confirm(units.take_unsent(to_all));
  CHECK(units.all() == 0);
  CHECK(units.unsent() == 0);
}
