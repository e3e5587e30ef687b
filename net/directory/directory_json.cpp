#include "net/directory/directory_json.hpp"

#include "actors/base/json_record.hpp"

#include <algorithm>
#include <cstdint>

namespace penstock {

namespace {

namespace json = boost::json;

constexpr std::size_t max_address_bytes = 256;
constexpr std::size_t max_word_bytes = 64; // an incarnation, a name, a version

json::array view_members_json(const std::vector<view_member>& members) {
  json::array out;
  for (const auto& member : members)
    out.push_back({{"address", member.address},
                   {"incarnation", member.incarnation},
                   {"leaving", member.leaving}});
  return out;
}

bool read_view_members(json_record& in, std::string_view name, std::vector<view_member>& out) {
  const auto* items = in.array(name, max_members);
  if (items == nullptr) return in.ok();
  for (const auto& item : *items) {
    json_record one{item};
    auto& member = out.emplace_back();
    one.text("address", max_address_bytes, member.address);
    one.text("incarnation", max_word_bytes, member.incarnation);
    one.flag("leaving", member.leaving);
    if (!one.ok() || member.address.empty() || member.incarnation.empty()) return false;
  }
  const auto by_address = [](const view_member& a, const view_member& b) {
    return a.address < b.address;
  };
  const auto same_address = [](const view_member& a, const view_member& b) {
    return a.address == b.address;
  };
  std::sort(out.begin(), out.end(), by_address);
  return std::adjacent_find(out.begin(), out.end(), same_address) == out.end();
}

json::array removals_json(const std::vector<view_removal>& removals) {
  json::array out;
  for (const auto& removal : removals) {
    json::array views;
    for (const auto& view : removal.views)
      views.push_back(json::array(view.begin(), view.end()));
    out.push_back({{"epoch", removal.epoch}, {"views", std::move(views)}});
  }
  return out;
}

bool read_addresses(const json::value& from, std::vector<std::string>& out) {
  const auto* items = from.if_array();
  if (items == nullptr || items->size() > max_members) return false;
  for (const auto& item : *items) {
    const auto* text = item.if_string();
    if (text == nullptr || text->empty() || text->size() > max_address_bytes) return false;
    out.emplace_back(*text);
  }
  return true;
}

bool read_removals(json_record& in, std::vector<view_removal>& out) {
  const auto* items = in.array("removals", max_view_removals);
  if (items == nullptr) return in.ok();
  for (const auto& item : *items) {
    json_record one{item};
    auto& removal = out.emplace_back();
    one.number("epoch", removal.epoch);
    const auto* views = one.array("views", max_removal_views);
    if (!one.ok() || views == nullptr) return false;
    for (const auto& view : *views)
      if (!read_addresses(view, removal.views.emplace_back())) return false;
  }
  return true;
}

} // namespace

std::string member_json(const member_record& member) {
  json::object out{{"address", member.address},
                   {"incarnation", member.incarnation},
                   {"node", member.node},
                   {"version", member.version},
                   {"wire_version", member.wire_version},
                   {"leaving", member.leaving},
                   {"epoch", member.epoch},
                   {"requests_per_s", member.requests_per_s},
                   {"journal_bytes", member.journal_bytes},
                   {"lag_events", member.lag_events},
                   {"uptime_s", member.uptime_s}};
  if (member.settled_epoch) out["settled_epoch"] = *member.settled_epoch;
  if (member.clocks.system_ns > 0) {
    out["system_ns"] = member.clocks.system_ns;
    out["cluster_ns"] = member.clocks.cluster_ns;
  }
  if (!member.secret_check.empty()) out["secret_check"] = member.secret_check;
  return json::serialize(out);
}

std::optional<member_record> read_member(std::string_view text) {
  json_record in{text, max_member_json_bytes};
  member_record out;
  in.text("address", max_address_bytes, out.address);
  in.text("incarnation", max_word_bytes, out.incarnation);
  in.text("node", max_word_bytes, out.node);
  in.text("version", max_word_bytes, out.version);
  in.number("wire_version", out.wire_version);
  in.flag("leaving", out.leaving);
  in.number("epoch", out.epoch);
  auto settled_epoch = UINT64_MAX;
  in.number("settled_epoch", settled_epoch);
  if (settled_epoch != UINT64_MAX) out.settled_epoch = settled_epoch;
  in.number("system_ns", out.clocks.system_ns);
  in.number("cluster_ns", out.clocks.cluster_ns);
  in.text("secret_check", max_word_bytes, out.secret_check);
  in.number("requests_per_s", out.requests_per_s);
  in.number("journal_bytes", out.journal_bytes);
  in.number("lag_events", out.lag_events);
  in.number("uptime_s", out.uptime_s);
  if (!in.ok() || out.address.empty() || out.incarnation.empty()) return std::nullopt;
  return out;
}

std::string view_json(const cluster_view& view) {
  return json::serialize(json::object{{"epoch", view.epoch},
                                      {"members", view_members_json(view.members)},
                                      {"before", view_members_json(view.before)},
                                      {"removals", removals_json(view.removals)}});
}

std::optional<cluster_view> read_view(std::string_view text) {
  json_record in{text, max_view_json_bytes};
  cluster_view out;
  in.number("epoch", out.epoch);
  if (!read_view_members(in, "members", out.members) ||
      !read_view_members(in, "before", out.before) || !read_removals(in, out.removals) || !in.ok())
    return std::nullopt;
  return out;
}

} // namespace penstock
