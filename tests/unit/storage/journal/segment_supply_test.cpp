// The next segment, between the writer that takes it and the keeper that makes it ahead.
#include "storage/journal/segment_supply.hpp"

#include "storage/sqlite/wal_vfs.hpp"
#include "tests/unit/storage/support.hpp"

using namespace penstock;
using namespace penstock::test;

TEST_CASE("a segment that is given back does not take the place of one prepared meanwhile",
          "[journal]") {
  const temporary_dir dir;
  journal_options options{.dir = dir.path(), .max_bytes = 1u << 20, .preallocate = false};
  options.vfs = wal_vfs({}, true);
  segment_supply supply{options, std::make_shared<const segment_catalog>(), "tag", 1};

  REQUIRE(supply.prepare());
  auto first = supply.take();
  REQUIRE(first);
  const auto number = (*first)->info().number;
  REQUIRE(supply.prepare()); // by the keeper, before the writer finds that it can't use its own
  const auto prepared_bytes = supply.bytes();
  supply.give_back(std::move(*first));
  CHECK(supply.bytes() > prepared_bytes);

  REQUIRE(supply.prepare()); // there is one
  auto again = supply.take();
  auto next = supply.take();
  REQUIRE(again);
  REQUIRE(next);
  CHECK((*again)->info().number == number);
  CHECK((*next)->info().number == number + 1);
  CHECK(supply.bytes() == 0);
}
