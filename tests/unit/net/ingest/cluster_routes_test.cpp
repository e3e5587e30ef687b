// Who owns a shard, and which front ends of peers are in reach.
#include "net/ingest/cluster_routes.hpp"

#include "tests/unit/actors/stand_in.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scoped_actor.hpp>

#include <catch2/catch.hpp>

#include <memory>

using namespace penstock;

TEST_CASE("cluster routes: a node that is alone owns all, and has nobody to link") {
  const cluster_routes routes{nullptr, 0};
  CHECK(routes.is_own(0));
  CHECK(routes.owner_of(shard_count - 1) == 0);
  CHECK(routes.epoch() == 0);
  CHECK_FALSE(routes.is_linked(1));
  CHECK_FALSE(routes.may_link(1));
}

TEST_CASE("cluster routes: owners are those of the view in force") {
  placement first;
  first.members = {"a:1", "", "c:1"};
  for (auto& shard : first.shards)
    shard.owner = 1;
  first.shards[7].owner = 2;
  cluster_routes routes{std::make_shared<const placement>(first), 1};
  CHECK(routes.is_own(6));
  CHECK(routes.owner_of(7) == 2);
  CHECK_FALSE(routes.may_link(2)); // a fixed list: who is not linked is away
  first.epoch = 3;
  first.shards[7].owner = 1;
  routes.set_placement(std::make_shared<const placement>(first));
  CHECK(routes.epoch() == 3);
  CHECK(routes.is_own(7));
  CHECK(routes.may_link(2));
  CHECK_FALSE(routes.may_link(1)); // no member any more
  CHECK_FALSE(routes.may_link(9)); // nor this one yet
}

TEST_CASE("cluster routes: a key goes to one front end of a linked member, until it is down") {
  caf::actor_system_config config;
  caf::actor_system system{config};
  caf::scoped_actor one{system}, two{system};
  cluster_routes routes{nullptr, 0};
  peer_up up;
  up.member = 2;
  up.front_ends = {stand_in(one), stand_in(two)};
  routes.on_peer_up(up);
  CHECK(routes.is_linked(2));
  CHECK_FALSE(routes.is_linked(1));
  CHECK(routes.front_end_of(2, 4) == up.front_ends[0]);
  CHECK(routes.front_end_of(2, 5) == up.front_ends[1]);
  routes.on_peer_down({2});
  CHECK_FALSE(routes.is_linked(2));
  routes.on_peer_down({9}); // of whom nothing was heard
}
