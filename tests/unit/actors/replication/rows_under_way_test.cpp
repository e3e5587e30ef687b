// Rows that were sent to a holder and are not known to be held.
#include "actors/replication/rows_under_way.hpp"

#include <catch2/catch.hpp>

using namespace penstock;

TEST_CASE("what is held is not under way any more, and its bytes do not count", "[replication]") {
  using time_point = rows_under_way::time_point;
  rows_under_way rows;
  CHECK(rows.is_empty());
  CHECK_FALSE(rows.drop_until(99));
  const time_point first{}, second = first + std::chrono::seconds{1};
  rows.add(5, 100, 3, first);
  rows.add(9, 20, 1, second);
  CHECK(rows.bytes() == 120);
  CHECK(rows.events() == 4);
  CHECK(rows.oldest() == first);
  CHECK_FALSE(rows.drop_until(4)); // a batch is held as a whole
  CHECK(rows.drop_until(8));
  CHECK(rows.bytes() == 20);
  CHECK(rows.events() == 1);
  CHECK(rows.oldest() == second);
  rows.clear();
  CHECK(rows.is_empty());
  CHECK(rows.bytes() == 0);
  CHECK(rows.events() == 0);
}
