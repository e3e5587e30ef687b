#include "actors/cluster/cluster_settings.hpp"
#include "net/telemetry/cluster_status.hpp"

#include <boost/json.hpp>
#include <catch2/catch.hpp>

using namespace penstock;

TEST_CASE("a node on its own has no members", "[status]") {
  const auto told = cluster_json({});
  CHECK(told.at("directory") == "none");
  CHECK(told.at("peers_up") == 0);
  CHECK_FALSE(told.contains("members"));
}

TEST_CASE("of a fixed list links tell who is there", "[status]") {
  metrics_sources from;
  from.node_name = "x";
  from.cluster = {directory_kind::static_peers, "dev", "b:1"};
  const auto links = std::make_shared<link_metrics>();
  links->links_up.set(1);
  links->publish({{"c:1", true}, {"a:1", false, "connection refused"}});
  from.links = links;
  const auto told = cluster_json(from);
  CHECK(told.at("directory") == "static");
  CHECK_FALSE(told.contains("epoch"));
  const auto& members = told.at("members").as_array();
  REQUIRE(members.size() == 3);
  CHECK(members[0].at("address") == "a:1");
  CHECK(members[0].at("state") == "down");
  CHECK(members[1].at("self").as_bool());
  CHECK(members[1].at("node") == "x");
  CHECK(members[1].at("state") == "up");
  CHECK(members[2].at("state") == "up");
  std::int64_t shards = 0;
  for (const auto& member : members)
    shards += member.at("shards").to_number<std::int64_t>();
  CHECK(shards == 256);
}

TEST_CASE("with a directory members tell of themselves", "[status]") {
  metrics_sources from;
  from.cluster = {directory_kind::nats, "dev", "a:1"};
  const auto board = std::make_shared<membership_status>();
  membership_status::state now{.epoch = 7, .directory_up = true, .members = {}};
  now.members.push_back(
      {.record = {.address = "a:1", .node = "x", .lag_events = 12, .uptime_s = 90},
       .owned_shards = 200,
       .in_view = true});
  now.members.push_back({.record = {.address = "b:1", .leaving = true}, .in_view = true});
  now.members.push_back({.record = {.address = "c:1"}, .in_view = true, .heard_s_ago = 5});
  board->set(now);
  from.members = board;
  const auto links = std::make_shared<link_metrics>();
  links->publish({{"b:1", true}, {"c:1", false}});
  from.links = links;
  const auto lane = std::make_shared<limiter_cluster_metrics>();
  lane->owned_shards.set(200);
  lane->held_requests.set(3);
  from.limiter_clusters = {lane, lane};
  const auto told = cluster_json(from);
  CHECK(told.at("epoch") == 7);
  CHECK(told.at("directory_up").as_bool());
  CHECK(told.at("shards").at("owned") == 400);
  CHECK(told.at("held_requests") == 6);
  const auto& members = told.at("members").as_array();
  REQUIRE(members.size() == 3);
  CHECK(members[0].at("state") == "up");
  CHECK(members[0].at("linked").as_bool());
  CHECK(members[0].at("lag_events") == 12);
  CHECK(members[0].at("uptime_s") == 90);
  CHECK(members[0].at("shards") == 200);
  CHECK(members[1].at("state") == "leaving");
  CHECK(members[1].at("linked").as_bool());
  CHECK(members[2].at("state") == "silent");
  CHECK_FALSE(members[2].at("linked").as_bool());
}
