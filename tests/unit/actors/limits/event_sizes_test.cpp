// Which sizes of a request are an item's.
#include "actors/limits/event_sizes.hpp"

#include <catch2/catch.hpp>

using namespace penstock;

TEST_CASE("event sizes: an item has as many as it has events, if it counts bytes", "[limits]") {
  const std::vector<std::uint32_t> all{10, 20, 30, 40, 50};
  event_sizes sizes{all};
  CHECK(sizes.next({.events = 1, .bytes = 5}).empty());
  CHECK(sizes.next({.events = 2, .bytes = 0}).empty());
  const auto first = sizes.next({.events = 2, .bytes = 30});
  REQUIRE(first.size() == 2);
  CHECK(first[0] == 10);
  CHECK(first[1] == 20);
  CHECK(sizes.next({.events = 4, .bytes = 99}).empty()); // its sender told too few
  CHECK(sizes.next({.events = 3, .bytes = 120}).back() == 50);
  CHECK(sizes.next({.events = 2, .bytes = 1}).empty());
}
