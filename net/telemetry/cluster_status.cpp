#include "net/telemetry/cluster_status.hpp"

#include "actors/base/metrics.hpp"
#include "actors/cluster/cluster_settings.hpp"
#include "actors/cluster/placement.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <array>

namespace penstock {

namespace {

namespace json = boost::json;

/// A member renews its record several times a second; one that has not for so long is in trouble.
constexpr double silent_after_s = 0.8;

const char* directory_name(directory_kind kind) {
  switch (kind) {
  case directory_kind::static_peers:
    return "static";
  case directory_kind::nats:
    return "nats";
  default:
    return "none";
  }
}

bool is_linked(const std::vector<peer_state>& peers, const std::string& address) {
  const auto found = std::ranges::find(peers, address, &peer_state::address);
  return found != peers.end() && found->up;
}

json::object member_of(const membership_status::member& member, const cluster_identity& self,
                       const std::vector<peer_state>& peers) {
  const auto& record = member.record;
  const bool is_self = record.address == self.address;
  return {{"address", record.address},
          {"self", is_self},
          {"node", record.node},
          {"state", record.leaving                         ? "leaving"
                    : member.heard_s_ago >= silent_after_s ? "silent"
                                                           : "up"},
          {"linked", is_self || is_linked(peers, record.address)},
          {"shards", member.owned_shards},
          {"version", record.version},
          {"wire_version", record.wire_version},
          {"incarnation", record.incarnation},
          {"uptime_s", record.uptime_s},
          {"heard_s_ago", member.heard_s_ago},
          {"requests_per_s", record.requests_per_s},
          {"journal_bytes", record.journal_bytes},
          {"lag_events", record.lag_events}};
}

// Of a fixed list only links tell who is there.
json::array listed_members(const metrics_sources& from, const std::vector<peer_state>& peers) {
  std::vector<std::string> addresses{from.cluster.address};
  for (const auto& peer : peers)
    addresses.push_back(peer.address);
  std::ranges::sort(addresses);
  const auto owners = place_shards(addresses);
  json::array out;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    const bool is_self = addresses[i] == from.cluster.address;
    const bool up = is_self || is_linked(peers, addresses[i]);
    out.push_back(json::object{{"address", addresses[i]},
                               {"self", is_self},
                               {"node", is_self ? from.node_name : std::string{}},
                               {"state", up ? "up" : "down"},
                               {"linked", up},
                               {"shards", std::ranges::count(owners, i)}});
  }
  return out;
}

void add_limiter_figures(json::object& out, const metrics_sources& from) {
  const auto sum = [&](gauge limiter_cluster_metrics::*figure) {
    std::int64_t total = 0;
    for (const auto& one : from.limiter_clusters)
      total += ((*one).*figure).value();
    return total;
  };
  using m = limiter_cluster_metrics;
  out["shards"] = json::object{{"owned", sum(&m::owned_shards)},
                               {"arriving", sum(&m::waiting_shards)},
                               {"leaving", sum(&m::leaving_shards)}};
  out["leased_units"] = sum(&m::leased_units);
  out["held_requests"] = sum(&m::held_requests);
  out["unsent_units"] = sum(&m::unsent_units);
}

} // namespace

json::object cluster_json(const metrics_sources& from) {
  const auto& self = from.cluster;
  json::object out{{"directory", directory_name(self.directory)},
                   {"name", self.name},
                   {"address", self.address},
                   {"peers_up", from.links ? from.links->links_up.value() : 0}};
  if (self.directory == directory_kind::none) return out;
  out["wire_version"] = wire_version;
  out["oldest_wire_version"] = oldest_wire_version;
  add_limiter_figures(out, from);
  const auto peers = from.links ? from.links->peers() : std::vector<peer_state>{};
  if (!from.members) {
    out["members"] = listed_members(from, peers);
    return out;
  }
  const auto cluster = from.members->get();
  out["epoch"] = cluster.epoch;
  out["directory_up"] = cluster.directory_up;
  json::array members;
  for (const auto& member : cluster.members)
    members.push_back(member_of(member, self, peers));
  out["members"] = std::move(members);
  return out;
}

} // namespace penstock
