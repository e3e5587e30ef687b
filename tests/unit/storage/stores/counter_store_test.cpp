#include "storage/stores/counter_store.hpp"
#include "tests/unit/storage/support.hpp"

#include <catch2/catch.hpp>

#include <fstream>

using namespace penstock;

namespace {

counter_row row(std::uint64_t client, std::uint32_t limit, std::uint32_t used,
                std::int64_t idle_at) {
  return {.client = client,
          .plan = 0xfedcba98,
          .limit = limit,
          .scope = 2,
          .at = -5,
          .used = used,
          .previous = UINT32_MAX,
          .idle_at = idle_at};
}

std::vector<counter_row> load(counter_store& store, std::int64_t now) {
  std::vector<counter_row> rows;
  REQUIRE(store.load(now, [&](const counter_row& each) { rows.push_back(each); }));
  return rows;
}

} // namespace

TEST_CASE("counters come back as they were saved last", "[counter_store]") {
  test::temporary_dir dir;
  {
    auto store = counter_store::open(dir.path());
    REQUIRE(store);
    REQUIRE((*store)->save({}));
    const std::vector<counter_row> first{row(UINT64_MAX - 3, 1, 5, 100), row(7, 1, 6, 100),
                                         row(7, 2, 7, 100)};
    REQUIRE((*store)->save(first));
    REQUIRE((*store)->save(std::vector{row(7, 1, 60, 200)}));
  }
  auto store = counter_store::open(dir.path());
  REQUIRE(store);
  const auto rows = load(**store, 0);
  CHECK(rows.size() == 3);
  for (const auto& expected :
       {row(UINT64_MAX - 3, 1, 5, 100), row(7, 1, 60, 200), row(7, 2, 7, 100)})
    CHECK(std::find(rows.begin(), rows.end(), expected) != rows.end());
  CHECK(load(**store, 99).size() == 3);
  CHECK(load(**store, 100) == std::vector{row(7, 1, 60, 200)});
}

TEST_CASE("a store knows which shards another node has by now", "[counter_store]") {
  test::temporary_dir dir;
  {
    auto store = counter_store::open(dir.path());
    REQUIRE(store);
    CHECK((*store)->handed_over()->empty());
    const std::vector<shard_mark> gone{{0, true}, {7, true}, {255, true}};
    REQUIRE((*store)->save({}, gone));
    REQUIRE((*store)->save({}, gone)); // told again after a failure
    const std::vector<shard_mark> back{{7, false}, {9, false}};
    REQUIRE((*store)->save(std::vector{row(7, 1, 5, 100)}, back));
  }
  auto store = counter_store::open(dir.path());
  REQUIRE(store);
  CHECK(*(*store)->handed_over() == std::vector<std::uint8_t>{0, 255});
  CHECK(load(**store, 0).size() == 1);
}

TEST_CASE("idle counters are removed, going round the table", "[counter_store]") {
  test::temporary_dir dir;
  auto store = counter_store::open(dir.path());
  REQUIRE(store);
  std::vector<counter_row> rows;
  for (std::uint64_t i = 0; i < 1000; ++i)
    rows.push_back(
        row(i * 0x4189374bc6a7ef9, static_cast<std::uint32_t>(i % 3), 1, i % 2 == 0 ? 50 : 500));
  for (std::uint32_t limit = 0; limit < 30; ++limit) // more for one client than are looked at
    rows.push_back(row(UINT64_MAX, limit, 1, 50));
  REQUIRE((*store)->save(rows));
  std::size_t removed = 0;
  for (int i = 0; i < 60; ++i) {
    const auto some = (*store)->remove_idle(50, 20);
    REQUIRE(some);
    CHECK(*some <= 60);
    removed += *some;
  }
  CHECK(removed == 530);
  CHECK(load(**store, 0).size() == 500);
  // And round again.
  for (int i = 0; i < 60; ++i)
    removed += (*store)->remove_idle(500, 20).value();
  CHECK(removed == 1030);
  CHECK(load(**store, 0).empty());
  CHECK((*store)->remove_idle(500, 20).value() == 0);
}
