// Who owns which shard, and who is reached.
#include "actors/limiter/shard_table.hpp"

#include <catch2/catch.hpp>

#include <memory>

using namespace penstock;

namespace {

placement_ptr view_of(std::uint64_t epoch, std::uint16_t owner, std::uint16_t backup) {
  auto places = std::make_shared<placement>();
  places->epoch = epoch;
  places->members = {"a", "", "c"};
  for (shard_place& each : places->shards) {
    each.owner = owner;
    each.backup = backup;
  }
  return places;
}

} // namespace

TEST_CASE("shard table: before there is a view", "[limiter]") {
  limiter_cluster_parts parts;
  parts.self = 2;
  shard_table table{parts};
  CHECK_FALSE(table.has_view());
  CHECK(table.epoch() == 0);
  CHECK(table.owner_of(7) == 2);
  CHECK(table.backup_of(7) == no_member);
  CHECK_FALSE(table.owns(std::uint64_t{7} << 56));
  CHECK(table.count(shard_role::foreign) == shard_count);
}

TEST_CASE("shard table: a view and its members", "[limiter]") {
  shard_table table{{}};
  CHECK(table.change_view(view_of(4, 0, 2), 100) == nullptr);
  CHECK(table.viewed_ns() == 100);
  const auto before = table.change_view(view_of(5, 2, no_member), 200);
  CHECK(before->epoch == 4);
  CHECK(table.epoch() == 5);
  CHECK(table.owner_of(9) == 2);
  CHECK(table.is_member(0));
  CHECK_FALSE(table.is_member(1)); // not any more
  CHECK(table.is_member(2));
  CHECK_FALSE(table.is_member(3));
  CHECK_FALSE(table.is_member(no_member));
  CHECK(table.is_member(shard_table::any_member));
}

TEST_CASE("shard table: several limiters of a node share its shards", "[limiter]") {
  limiter_cluster_parts parts;
  parts.lane = 1;
  parts.lanes = 3;
  shard_table table{parts};
  CHECK_FALSE(table.is_mine(0));
  CHECK(table.is_mine(1));
  CHECK(table.is_mine(4));
  table.set_role(4, shard_role::own);
  CHECK(table.owns(std::uint64_t{4} << 56));
  CHECK(table.count(shard_role::own) == 1);
}

TEST_CASE("shard table: the right to decide ends", "[limiter]") {
  const auto until_ns = std::make_shared<std::atomic<std::int64_t>>(50);
  limiter_cluster_parts parts;
  CHECK(shard_table{parts}.may_decide(INT64_MAX));
  parts.decides_until_ns = until_ns;
  const shard_table table{parts};
  CHECK(table.may_decide(49));
  CHECK_FALSE(table.may_decide(50));
}

TEST_CASE("shard table: a member that was never heard of is not one that was lost", "[limiter]") {
  shard_table table{{}};
  CHECK(table.epoch_of(3) == UINT64_MAX);
  CHECK(table.version_of(3) == 0);
  CHECK_FALSE(table.was_lost(3));
  table.note_epoch(3, 8);
  table.note_epoch(3, 6);
  CHECK(table.epoch_of(3) == 8);
  CHECK(table.peer_is_down(3).empty());
  CHECK(table.was_lost(3));
  CHECK(table.limiter_of(3, 0) == nullptr);
}
