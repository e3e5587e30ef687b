// Which segments are moved, and with which neighbours.
#include "actors/retention/space_plan.hpp"

#include "storage/journal/segment_mover.hpp"

#include <catch2/catch.hpp>

using namespace penstock;

namespace {

constexpr std::uint64_t mib = 1u << 20;
using moves = std::vector<std::vector<std::uint64_t>>;

segment_share full(std::uint64_t number, std::uint64_t backlog_bytes) {
  return {number, 64 * mib, backlog_bytes, true, true};
}

/// What a move has left of one.
segment_share rest(std::uint64_t number) {
  return {number, least_segment_bytes, 100, true, true};
}

space_rules used(std::uint64_t percent) {
  return {percent * 100 * mib, 10'000 * mib, 64 * mib};
}

std::vector<segment_share> rests(std::uint64_t count) {
  std::vector<segment_share> out;
  for (std::uint64_t number = 1; number <= count; ++number)
    out.push_back(rest(number));
  return out;
}

} // namespace

TEST_CASE("a segment is moved when little of it is owed", "[space]") {
  CHECK(plan_moves({full(1, 2 * mib)}, used(10)) == moves{{1}});
  CHECK(plan_moves({full(1, 3 * mib)}, used(10)).empty());
}

TEST_CASE("the less room there is, the more is moved", "[space]") {
  CHECK(plan_moves({full(1, 8 * mib)}, used(49)).empty());
  CHECK(plan_moves({full(1, 8 * mib)}, used(50)) == moves{{1}});
  CHECK(plan_moves({full(1, 31 * mib)}, used(74)).empty());
  CHECK(plan_moves({full(1, 31 * mib)}, used(75)) == moves{{1}});
  CHECK(plan_moves({full(1, 33 * mib)}, used(99)).empty());
}

TEST_CASE("what is not known, or may not move, stays", "[space]") {
  auto unknown = full(1, 0);
  unknown.is_measured = false;
  auto young = full(2, 0);
  young.may_move = false;
  CHECK(plan_moves({unknown, young}, used(90)).empty());
}

TEST_CASE("what was moved before is taken together by eights", "[space]") {
  CHECK(plan_moves({rest(1)}, used(99)).empty());
  CHECK(plan_moves(rests(7), used(10)).empty());
  CHECK(plan_moves(rests(8), used(10)) == moves{{1, 2, 3, 4, 5, 6, 7, 8}});
  CHECK(plan_moves(rests(3), used(50)).empty());
  CHECK(plan_moves(rests(4), used(50)) == moves{{1, 2, 3, 4}});
}

TEST_CASE("what does not fit into a segment of today is not begun", "[space]") {
  // Of a time when segments were larger.
  CHECK(plan_moves({{1, 256 * mib, 100 * mib, true, true}}, used(90)).empty());
}

TEST_CASE("only neighbours are taken together", "[space]") {
  auto held = full(2, 60 * mib);
  CHECK(plan_moves({rest(1), held, rest(3)}, used(60)).empty());
  CHECK(plan_moves({rest(1), full(2, mib), rest(3), full(4, 60 * mib), full(5, mib)}, used(10)) ==
        moves{{1, 2, 3}, {5}});
}

TEST_CASE("a move makes no segment of more than half the usual size", "[space]") {
  std::vector<segment_share> many;
  for (std::uint64_t number = 1; number <= 40; ++number)
    many.push_back(full(number, mib));
  const auto planned = plan_moves(many, used(10));
  REQUIRE(planned.size() == 2);
  CHECK(planned[0].size() < 32);
  CHECK(planned[0].size() > 28);
  CHECK(planned[0].size() + planned[1].size() == 40);
}

TEST_CASE("nothing is planned from which nothing is gained", "[space]") {
  // Eight that are owed whole.
  std::vector<segment_share> many;
  for (std::uint64_t number = 1; number <= 8; ++number)
    many.push_back({number, 4 * mib, 4 * mib - least_segment_bytes, true, true});
  CHECK(plan_moves(many, used(99)).empty());
  // Nor are they written again for the sake of a neighbour from which there is.
  many[3].backlog_bytes = 100;
  CHECK(plan_moves(many, used(10)) == moves{{4}});
  CHECK(most_backlog(least_segment_bytes, used(99)) == 0);
}
