#include "cli/views/cluster_view.hpp"

#include "cli/base/readable.hpp"
#include "cli/base/table.hpp"
#include "cli/client/json_fields.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <vector>

namespace penstock {
namespace {

namespace json = boost::json;

std::uint64_t figure(const json::object& from, std::string_view name) {
  return from.at(name).to_number<std::uint64_t>();
}

// What a fixed list does not tell of its members is a dash.
std::string cell(const json::object& member, std::string_view name) {
  const auto* value = member.if_contains(name);
  if (!value) return "-";
  if (!value->is_string()) return std::to_string(value->to_number<std::uint64_t>());
  const auto text = text_of(member, name);
  return text.empty() ? "-" : text;
}

std::string age_cell(const json::object& member, std::string_view name) {
  const auto* value = member.if_contains(name);
  return value ? age_text(value->to_number<double>()) : "-";
}

std::string cluster_heading(const json::object& cluster) {
  auto out = fmt::format("cluster {}, ", text_of(cluster, "name"));
  if (cluster.contains("epoch"))
    out += fmt::format("view {}, directory {}", figure(cluster, "epoch"),
                       cluster.at("directory_up").as_bool() ? "up" : "away");
  else
    out += "a fixed list";
  const auto& shards = cluster.at("shards").as_object();
  return out + fmt::format(", wire versions {} to {}\nhere: {} shards, {} arriving, {} leaving; {} "
                           "units leased; {} requests held\n",
                           figure(cluster, "oldest_wire_version"), figure(cluster, "wire_version"),
                           figure(shards, "owned"), figure(shards, "arriving"),
                           figure(shards, "leaving"), figure(cluster, "leased_units"),
                           figure(cluster, "held_requests"));
}

} // namespace

std::string cluster_text(const json::object& cluster) {
  const auto* members = cluster.if_contains("members");
  if (!members) return {};
  std::vector<std::vector<std::string>> rows{{"MEMBER", "NODE", "STATE", "SHARDS", "VERSION",
                                              "WIRE", "UPTIME", "HEARD", "REQUESTS/S", "LAG"}};
  for (const auto& entry : members->as_array()) {
    const auto& member = entry.as_object();
    const bool linked = member.at("linked").as_bool();
    auto state = text_of(member, "state");
    if (!linked && state != "down") state += ", no link";
    rows.push_back({text_of(member, "address") + (member.at("self").as_bool() ? " (this)" : ""),
                    cell(member, "node"), state, cell(member, "shards"), cell(member, "version"),
                    cell(member, "wire_version"), age_cell(member, "uptime_s"),
                    age_cell(member, "heard_s_ago"), cell(member, "requests_per_s"),
                    cell(member, "lag_events")});
  }
  return '\n' + cluster_heading(cluster) + table_text(rows);
}

} // namespace penstock
