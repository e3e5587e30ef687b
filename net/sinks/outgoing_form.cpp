#include "net/sinks/outgoing_form.hpp"

#include "net/base/json_text.hpp"
#include "net/base/rfc3339.hpp"
#include "net/http/event_body.hpp"
#include "net/sinks/json_members.hpp"
#include "storage/events/event_id.hpp"

#include <boost/json.hpp>

#include <algorithm>

namespace penstock {

namespace {

namespace json = boost::json;

constexpr std::string_view our_id = "penstockid";
constexpr std::string_view partition_key = "partitionkey";
constexpr std::string_view upstream_id = "upstreamid";
constexpr std::string_view upstream_key = "upstreamkey";
constexpr std::string_view ce_prefix = "ce_";

/// Under which name an attribute goes on: those that are ours nobody else may set.
std::string_view name_to_pass_on(std::string_view name) {
  if (name == our_id) return upstream_id;
  return name == partition_key ? upstream_key : name;
}

void append_member(std::string& out, std::string_view name, std::string_view value) {
  if (out.back() != '{') out += ',';
  append_json_any(out, name);
  out += ':';
  append_json_any(out, value);
}

/// What the event's attributes say: those of a CloudEvent without their prefix, and traces.
std::vector<std::pair<std::string, std::string>> parse_attributes(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> out;
  if (text.empty()) return out;
  json::error_code failed;
  const auto parsed = json::parse(text, failed);
  if (failed || !parsed.is_object()) return out;
  for (const auto& [key, value] : parsed.get_object()) {
    if (!value.is_string()) continue;
    std::string_view name{key.data(), key.size()};
    if (name.starts_with(ce_prefix)) name.remove_prefix(ce_prefix.size());
    const std::string_view said{value.get_string().data(), value.get_string().size()};
    if (name != "data") out.emplace_back(name, said);
  }
  return out;
}

bool has(const std::vector<std::pair<std::string, std::string>>& all, std::string_view name) {
  return std::any_of(all.begin(), all.end(), [&](const auto& one) { return one.first == name; });
}

/// Renames what is ours, over what came under the new name. Each name stays once.
void rename_ours(std::vector<std::pair<std::string, std::string>>& all) {
  for (const auto name : {our_id, partition_key})
    if (has(all, name))
      std::erase_if(all, [&](const auto& one) { return one.first == name_to_pass_on(name); });
  for (std::size_t i = 0; i < all.size();) {
    const std::string name{name_to_pass_on(all[i].first)};
    const bool again = std::any_of(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(i),
                                   [&](const auto& one) { return one.first == name; });
    if (again) {
      all.erase(all.begin() + static_cast<std::ptrdiff_t>(i));
      continue;
    }
    all[i++].first = name;
  }
}

/// The members of a structured CloudEvent without the braces, what is ours renamed.
std::string members_to_pass_on(std::string_view body) {
  const auto members = split_json_members(body);
  const auto has_member = [&](std::string_view name) {
    return std::any_of(members.begin(), members.end(), [&](const json_member& one) {
      return one.name == name && one.value != "null";
    });
  };
  std::string out;
  for (const auto& one : members) {
    const auto name = name_to_pass_on(one.name);
    const bool is_ours = name != one.name;
    const bool replaced = (one.name == upstream_id && has_member(our_id)) ||
                          (one.name == upstream_key && has_member(partition_key));
    if (replaced || (is_ours && one.value == "null")) continue;
    if (!out.empty()) out += ',';
    if (is_ours)
      out.append(1, '"').append(name).append("\":").append(one.value);
    else
      out += one.text;
  }
  return out;
}

/// Whether the bytes may have a member that is ours; escapes could hide its name.
bool may_name_ours(std::string_view body) {
  for (const auto part : {our_id, partition_key, std::string_view{"\\u"}})
    if (body.find(part) != body.npos) return true;
  return false;
}

bool is_structured(const outgoing_event& event) {
  return classify_body(event.content_type()) == body_kind::cloud_event &&
         event.body().find('{') != std::string_view::npos;
}

void append_data(std::string& out, const outgoing_event& event) {
  const auto body = event.body();
  if (classify_body(event.content_type()) == body_kind::json) {
    if (body.empty()) return; // a CloudEvent in binary mode may have no data
    out += R"(,"data":)";
    out += body; // checked when it came in
  } else {
    out += ',';
    append_json_body(out, body);
  }
}

} // namespace

std::string outgoing_form::id(const outgoing_event& event, const sink_batch& batch) {
  return event_id(event.seq(), batch.tag);
}

std::string outgoing_form::client_key(const outgoing_event& event) {
  constexpr char digits[] = "0123456789abcdef";
  std::string out(16, '0');
  auto client = event.client();
  for (auto at = out.rbegin(); at != out.rend(); ++at, client >>= 4)
    *at = digits[client & 15];
  return out;
}

bool outgoing_form::names_stream(std::string_view pattern) {
  return pattern.find("{stream}") != pattern.npos;
}

std::string outgoing_form::fill_template(std::string_view pattern, std::string_view stream) {
  constexpr std::string_view slot = "{stream}";
  std::string out;
  for (;;) {
    const auto at = pattern.find(slot);
    out += pattern.substr(0, at);
    if (at == pattern.npos) return out;
    out += stream;
    pattern.remove_prefix(at + slot.size());
  }
}

// Most events are of this kind, so their attributes are written over those of the one before.
const std::vector<std::pair<std::string, std::string>>&
outgoing_form::made_attributes(const outgoing_event& event, const sink_batch& batch) {
  enum { specversion, id_of, source, type, time, key };
  if (made_.empty())
    made_ = {{"specversion", "1.0"}, {"id", std::string(event_id_size, '0')},
             {"source", source_},    {"type", ""},
             {"time", ""},           {std::string{partition_key}, ""}};
  format_event_id(made_[id_of].second.data(), event.seq(), batch.tag);
  made_[type].second.assign("penstock.").append(batch.stream);
  if (made_time_ms_ != event.block->time_ms) {
    made_time_ms_ = event.block->time_ms;
    made_[time].second = rfc3339(made_time_ms_);
  }
  made_[key].second = client_key(event);
  return made_;
}

const std::vector<std::pair<std::string, std::string>>&
outgoing_form::attributes(const outgoing_event& event, const sink_batch& batch) {
  if (event.attributes().empty() && !is_structured(event)) return made_attributes(event, batch);
  const bool structured = is_structured(event);
  attributes_.clear();
  if (!structured) attributes_ = parse_attributes(event.attributes());
  rename_ours(attributes_);
  const bool foreign = has(attributes_, "id") && has(attributes_, "source");
  if (!structured && !foreign) {
    attributes_.emplace_back("specversion", "1.0");
    attributes_.emplace_back("id", id(event, batch));
    attributes_.emplace_back("source", source_);
    attributes_.emplace_back("type", "penstock." + batch.stream);
    attributes_.emplace_back("time", rfc3339(event.block->time_ms));
  } else if (!structured && !has(attributes_, "specversion")) {
    attributes_.emplace_back("specversion", "1.0");
  }
  if (structured || foreign) attributes_.emplace_back(our_id, id(event, batch));
  attributes_.emplace_back(partition_key, client_key(event));
  return attributes_;
}

void outgoing_form::append_structured(std::string& out, const outgoing_event& event,
                                      const sink_batch& batch) {
  const auto& all = attributes(event, batch);
  out += '{';
  for (const auto& [name, value] : all)
    append_member(out, name, value);
  if (!is_structured(event)) {
    if (!has(all, "datacontenttype")) append_member(out, "datacontenttype", event.content_type());
    append_data(out, event);
    out += '}';
    return;
  }
  if (may_name_ours(event.body())) {
    const auto members = members_to_pass_on(event.body());
    if (!members.empty()) out += ',';
    out.append(members) += '}';
    return;
  }
  // Its own bytes from the first member on.
  auto rest = event.body().substr(event.body().find('{') + 1);
  rest.remove_prefix(std::min(rest.find_first_not_of(" \t\r\n"), rest.size()));
  if (!rest.starts_with('}')) out += ',';
  out += rest;
}

} // namespace penstock
