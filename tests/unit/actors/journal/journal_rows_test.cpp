// Which blocks of a group become one row.
#include "actors/journal/journal_messages.hpp"
#include "tests/unit/actors/journal/journal_world.hpp"

using namespace penstock;
using namespace penstock::test;

TEST_CASE_METHOD(journal_world, "blocks that follow each other in one stream are one row",
                 "[journal]") {
  start();
  SECTION("across batches and front ends, but not across commits") {
    post(front_a, "s", 2);
    post(front_b, "s", 3);
    run();
    post(front_b, "s", 1);
    run();
    CHECK(store->rows == rows{{"s", 1, 5}, {"s", 6, 1}});
  }
  SECTION("another stream ends the row") {
    send(batch(front_a, {{"s", 2}, {"t", 1}, {"s", 1}}));
    post(front_b, "s", 1);
    run();
    CHECK(store->rows == rows{{"s", 1, 2}, {"t", 3, 1}, {"s", 4, 2}});
  }
  SECTION("a gap ends the row") {
    const auto gappy = batch(front_a, {{"s", 2}, {"s", 1}, {"s", 2}});
    gappy->blocks.erase(gappy->blocks.begin() + 1);
    send(gappy);
    run();
    CHECK(store->rows == rows{{"s", 1, 2}, {"s", 4, 2}});
  }
  SECTION("max_row_events ends the row") {
    send(batch(front_a, {{"s", max_row_events - 1}, {"s", 1}, {"s", 1}, {"s", max_row_events}}));
    run();
    CHECK(store->rows == rows{{"s", 1, max_row_events},
                              {"s", max_row_events + 1, 1},
                              {"s", max_row_events + 2, max_row_events}});
  }
  SECTION("max_row_bytes ends the row") {
    send(batch(front_a, {{"s", 1, max_row_bytes - 10}, {"s", 1, 10}, {"s", 1, 10}}));
    send(batch(front_a, {{"s", 1, max_row_bytes - 9}, {"s", 1, 10}}));
    run();
    CHECK(store->rows == rows{{"s", 1, 2}, {"s", 3, 1}, {"s", 4, 1}, {"s", 5, 1}});
  }
  SECTION("a block that is larger than any row is one of its own") {
    send(batch(front_a, {{"s", 1}, {"s", max_events_per_block}, {"s", 1}}));
    run();
    CHECK(store->rows ==
          rows{{"s", 1, 1}, {"s", 2, max_events_per_block}, {"s", 2 + max_events_per_block, 1}});
  }
  append_done done;
  while (take(front_a, done))
    CHECK(done.ok);
}

TEST_CASE_METHOD(journal_world, "a row keeps what each of its events has", "[journal]") {
  start();
  const auto made = batch(front_a, {{"s", 0}, {"s", 0}});
  const char* types[] = {"a/b", "c/d", "e/f"};
  const char* attributes[] = {"", R"({"k":1})", R"({"k":2})"};
  for (std::size_t b = 0; b < 2; ++b) {
    auto& block = *made->blocks[b];
    for (std::size_t i = 0; i < 3; ++i)
      block.push("body " + std::to_string(3 * b + i), types[2 - i], 10 * b + i, attributes[i]);
    block.first_seq = 1 + 3 * b;
  }
  std::reverse(made->blocks[1]->content_types.begin(), made->blocks[1]->content_types.end());
  for (auto& meta : made->blocks[1]->events)
    meta.type = static_cast<std::uint16_t>(2 - meta.type);
  made->events = 6;
  send(made);
  run();
  const auto read = read_all(store->real(), "s");
  REQUIRE(read.size() == 1);
  const auto& row = *read[0];
  REQUIRE(row.size() == 6);
  for (std::size_t e = 0; e < 6; ++e) {
    CAPTURE(e);
    CHECK(row.body(e) == "body " + std::to_string(e));
    CHECK(row.content_types[row.events[e].type] == types[2 - e % 3]);
    CHECK(row.attributes[row.events[e].attributes] == attributes[e % 3]);
    CHECK(row.events[e].client == 10 * (e / 3) + e % 3);
  }
}
