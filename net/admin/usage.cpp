#include "net/admin/usage.hpp"

#include "actors/usage/usage_actor.hpp"
#include "net/base/json_text.hpp"
#include "net/base/rfc3339.hpp"
#include "net/base/wall_time.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <map>

namespace penstock {

namespace {

namespace http = boost::beast::http;
constexpr std::int64_t default_range_ms = 24 * 3600 * 1000;
constexpr std::array<std::string_view, 4> order_names{"requests", "events", "bytes", "refused"};

error wrong(std::string_view name, std::string_view rule) {
  return {errc::invalid, "'" + std::string{name} + "' must be " + std::string{rule}};
}

constexpr std::string_view time_rule =
    "an RFC 3339 time like 2026-01-31T12:00:00Z, \"now\", or a time before now like -24h (s, m, h "
    "or d)";

using parameters = std::map<std::string, std::string, std::less<>>;

result<parameters> parameters_of(std::string_view query) {
  constexpr std::array<std::string_view, 9> known{"by", "per",   "from",   "to",   "top",
                                                  "id", "order", "format", "scope"};
  parameters out;
  while (!query.empty()) {
    const auto end = query.find('&');
    const auto pair = query.substr(0, end);
    query = end == query.npos ? std::string_view{} : query.substr(end + 1);
    if (pair.empty()) continue;
    const auto equals = std::min(pair.find('='), pair.size());
    const auto name = pair.substr(0, equals);
    if (std::find(known.begin(), known.end(), name) == known.end())
      return error{errc::invalid, "'" + std::string{name} +
                                      "' is not known; by, per, from, to, top, id, order, "
                                      "format and scope are"};
    const auto value = percent_decode(pair.substr(std::min(equals + 1, pair.size())));
    if (!value) return wrong(name, "percent-encoded: % and two hexadecimal digits");
    out.insert_or_assign(std::string{name}, *value);
  }
  return out;
}

// What `text` says of the count; nothing for anything but 1 to `max`.
std::optional<std::uint32_t> count_of(std::string_view text, std::uint32_t max) {
  std::uint32_t count = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (failed != std::errc{} || end != text.data() + text.size() || count == 0 || count > max)
    return std::nullopt;
  return count;
}

void append_member(std::string& out, std::string_view name, std::uint64_t value) {
  out.append(",\"").append(name).append("\":").append(std::to_string(value));
}

void append_counts(std::string& out, const usage_counts& counts) {
  append_member(out, "requests", counts.requests);
  append_member(out, "events", counts.events);
  append_member(out, "bytes", counts.bytes);
  append_member(out, "refused", counts.refused);
}

std::string csv_field(std::string text) {
  if (!text.empty() && std::string_view{"=+-@\t\r"}.find(text.front()) != std::string_view::npos)
    text.insert(text.begin(), '\'');
  if (text.find_first_of("\",\r\n") == text.npos) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

/// Counts a report while it is under way.
class under_way {
 public:
  explicit under_way(std::shared_ptr<std::size_t> count) : count_{std::move(count)} { ++*count_; }
  ~under_way() { --*count_; }
  under_way(const under_way&) = delete;
  under_way& operator=(const under_way&) = delete;

 private:
  std::shared_ptr<std::size_t> count_;
};

} // namespace

result<usage_request> parse_usage_request(std::string_view text, std::int64_t now_ms) {
  const auto given = parameters_of(text);
  if (!given) return given.error();
  const auto value = [&](std::string_view name, std::string_view fallback) {
    const auto found = given->find(name);
    return found == given->end() ? std::string{fallback} : found->second;
  };
  usage_request out;
  auto& query = out.query;
  const auto by = parse_usage_dimension(value("by", "account"));
  if (!by) return wrong("by", "account, key, ip, referer or stream");
  const auto per = parse_usage_period(value("per", "hour"));
  if (!per) return wrong("per", "minute, hour, day or month");
  const auto to = parse_time(value("to", "now"), now_ms);
  if (!to) return wrong("to", time_rule);
  const auto from = given->contains("from") ? parse_time(given->find("from")->second, now_ms)
                                            : std::optional{*to - default_range_ms};
  if (!from) return wrong("from", time_rule);
  if (*from >= *to) return wrong("from", "before 'to'");
  const auto top = count_of(value("top", "10"), max_usage_top);
  if (!top) return wrong("top", "a whole number from 1 to " + std::to_string(max_usage_top));
  const auto order = std::find(order_names.begin(), order_names.end(), value("order", "requests"));
  if (order == order_names.end()) return wrong("order", "requests, events, bytes or refused");
  const auto format = value("format", "json");
  if (format != "json" && format != "csv") return wrong("format", "json or csv");
  const auto scope = value("scope", "cluster");
  if (scope != "cluster" && scope != "node") return wrong("scope", "cluster or node");
  query.by = *by;
  query.per = *per;
  // A range that ends within a second takes it in.
  query.from_s = *from / 1000;
  query.to_s = (*to + 999) / 1000;
  query.top = *top;
  query.order = static_cast<usage_order>(order - order_names.begin());
  if (given->contains("id")) query.id = given->find("id")->second;
  if (query.id && query.id->empty()) return wrong("id", "an id as a report without it names them");
  out.as_csv = format == "csv";
  out.of_node = scope == "node";
  return out;
}

namespace {

void append_coverage(std::string& out, const usage_coverage& coverage) {
  out += ",\"nodes\":[";
  bool first = true;
  for (const auto& node : coverage.nodes) {
    out += first ? "{\"node\":" : ",{\"node\":";
    first = false;
    append_json_any(out, node.node);
    out += ",\"address\":";
    append_json_any(out, node.address);
    out.append(",\"source\":\"").append(node.is_copy ? "copy" : "node");
    out += "\",\"known_to\":";
    out += node.known_ms > 0 ? '"' + rfc3339(node.known_ms) + '"' : "null";
    out += '}';
  }
  out += "],\"missing\":[";
  for (std::size_t i = 0; i < coverage.missing.size(); ++i) {
    if (i > 0) out += ',';
    append_json_any(out, coverage.missing[i]);
  }
  out += ']';
}

std::string list_of(const std::vector<std::string>& addresses) {
  std::string out;
  for (const auto& address : addresses)
    out += (out.empty() ? "" : ", ") + address;
  return out;
}

} // namespace

std::string usage_json(const usage_query& query, const usage_report& report,
                       const std::optional<usage_coverage>& coverage) {
  std::string out = "{\"by\":\"";
  out.append(name_of(query.by)).append("\",\"per\":\"").append(name_of(query.per));
  out.append("\",\"from\":\"").append(rfc3339(report.from_s * 1000));
  out.append("\",\"to\":\"").append(rfc3339(report.to_s * 1000)).append("\",\"total\":{");
  std::string total;
  append_counts(total, report.total);
  out.append(total, 1).append("}");
  if (query.id) {
    out += ",\"id\":";
    append_json_any(out, *query.id);
    out += ",\"buckets\":[";
  } else {
    append_member(out, "ids", report.ids);
    out += ",\"top\":[";
  }
  bool first = true;
  for (const auto& row : report.rows) {
    out += first ? "{" : ",{";
    first = false;
    if (query.id) {
      out.append("\"time\":\"").append(rfc3339(row.start_s * 1000)).append("\"");
    } else {
      out += "\"id\":";
      append_json_any(out, row.id);
    }
    append_counts(out, row.counts);
    out += '}';
  }
  out += ']';
  if (coverage) append_coverage(out, *coverage);
  return out + '}';
}

std::string usage_csv(const usage_query& query, const usage_report& report) {
  std::string out = query.id ? "time" : "id";
  out += ",requests,events,bytes,refused\r\n";
  for (const auto& row : report.rows) {
    out += query.id ? rfc3339(row.start_s * 1000) : csv_field(row.id);
    for (const auto n :
         {row.counts.requests, row.counts.events, row.counts.bytes, row.counts.refused})
      out.append(",").append(std::to_string(n));
    out += "\r\n";
  }
  return out;
}

namespace {

// GET; see parse_usage_request and usage_json.
boost::asio::awaitable<admin_answer> get_usage(admin_context& context, admin_request& request) {
  if (!context.usage)
    co_return answer_of(problem{.status = 404,
                                .detail = "usage is not counted on this node; set "
                                          "usage.enabled = true"});
  const auto command = parse_usage_request(request.query, wall_ms());
  if (!command) co_return answer_of(command.error());
  if (*context.usage_reports >= max_usage_reports)
    co_return answer_of(
        problem{.status = 503, .detail = "as many usage reports are under way as may be at once"});
  const under_way counted{context.usage_reports};
  usage_query_ptr query = std::make_shared<const usage_query>(command->query);
  const bool of_node = command->of_node || !context.cluster_usage;
  const auto answer = co_await context.actors.ask<usage_answer_ptr>(
      of_node ? context.usage : context.cluster_usage, query,
      (max_usage_reports + 1) * max_usage_report_time);
  if (!answer) co_return answer_of(answer.error());
  const auto& got = **answer;
  if (!got.ok) co_return answer_of(got.why);
  admin_answer out;
  if (got.coverage && !got.coverage->missing.empty())
    out.headers.emplace_back(usage_missing_header, list_of(got.coverage->missing));
  if (command->as_csv) out.content_type = "text/csv; charset=utf-8; header=present";
  out.body = command->as_csv ? usage_csv(*query, got.report)
                             : usage_json(*query, got.report, got.coverage);
  co_return out;
}

constexpr admin_route routes_of_usage[] = {
    {http::verb::get, "/v1/admin/usage", get_usage, {.answer_bytes = page_answer_bytes}},
};

} // namespace

std::span<const admin_route> usage_routes() {
  return routes_of_usage;
}

} // namespace penstock
