#include "net/admin/usage_rebuild.hpp"

#include "net/base/json_body.hpp"
#include "net/base/rfc3339.hpp"
#include "net/base/wall_time.hpp"
#include "storage/base/told.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <array>

namespace penstock {

namespace {

namespace http = boost::beast::http;
namespace json = boost::json;

constexpr std::int64_t default_rebuild_ms = 3600 * 1000;
constexpr std::string_view rebuild_example = R"({"from":"-1h","to":"now","dry_run":true})";
constexpr std::array<std::string_view, 4> phase_names{"none", "running", "done", "failed"};

result<std::int64_t> rebuild_time(const json::object& body, std::string_view name,
                                  std::int64_t fallback_ms, std::int64_t now_ms) {
  const auto* value = body.if_contains(name);
  if (value == nullptr) return fallback_ms;
  const auto time =
      value->is_string() ? parse_time(std::string{value->get_string()}, now_ms) : std::nullopt;
  if (time) return *time;
  return invalid("'" + std::string{name} +
                 "' must be an RFC 3339 time like 2026-01-31T12:00:00Z, \"now\", or a time before "
                 "now like -24h (s, m, h or d)");
}

// False where it is not given.
result<bool> rebuild_flag(const json::object& body, std::string_view name) {
  const auto* value = body.if_contains(name);
  if (value == nullptr) return false;
  if (!value->is_bool()) return invalid("'" + std::string{name} + "' must be true or false");
  return value->get_bool();
}

json::object volume_json(const event_volume& volume) {
  return {{"events", volume.events}, {"bytes", volume.bytes}};
}

json::object outcome_json(const usage_rebuilt& outcome) {
  json::array ids;
  for (const auto& one : outcome.ids)
    ids.push_back(json::object{{"by", name_of(one.by)},
                               {"id", one.id},
                               {"proven", volume_json(one.proven)},
                               {"counted", volume_json(one.counted)},
                               {"added", volume_json(one.added)}});
  return {{"from", rfc3339(outcome.from_s * 1000)},
          {"to", rfc3339(outcome.to_s * 1000)},
          {"covered_from", rfc3339(outcome.covered_from_s * 1000)},
          {"dry_run", outcome.dry_run},
          {"read", volume_json(outcome.read)},
          {"without_account", volume_json(outcome.no_account)},
          {"added_to_streams", volume_json(outcome.added_streams)},
          {"added_to_accounts", volume_json(outcome.added_accounts)},
          {"corrected_ids", outcome.corrected_ids},
          {"skipped", outcome.skipped},
          {"damaged_blocks", outcome.damaged_blocks},
          {"ids", std::move(ids)}};
}

admin_answer not_counted() {
  return answer_of(problem{
      .status = 404, .detail = "usage is not counted on this node; set usage.enabled = true"});
}

} // namespace

result<usage_rebuild_request> parse_rebuild_request(std::string_view text, std::int64_t now_ms) {
  const auto body = json_object_of(text.empty() ? "{}" : text, rebuild_example);
  if (!body) return body.error();
  for (const auto& [name, value] : *body)
    if (name != "from" && name != "to" && name != "dry_run" && name != "despite_copies")
      return invalid("'" + std::string{name} +
                     "' is not known; from, to, dry_run and despite_copies are");
  const auto to = rebuild_time(*body, "to", now_ms, now_ms);
  if (!to) return to.error();
  const auto from = rebuild_time(*body, "from", *to - default_rebuild_ms, now_ms);
  if (!from) return from.error();
  if (*from >= *to) return invalid("'from' must be before 'to'");
  const auto dry_run = rebuild_flag(*body, "dry_run");
  if (!dry_run) return dry_run.error();
  const auto despite_copies = rebuild_flag(*body, "despite_copies");
  if (!despite_copies) return despite_copies.error();
  return usage_rebuild_request{.from_s = *from / 1000,
                               .to_s = (std::min(*to, now_ms) + 999) / 1000,
                               .dry_run = *dry_run,
                               .despite_copies = *despite_copies};
}

std::string rebuild_json(const usage_rebuild_status::update& update) {
  using phase = usage_rebuild_status::phase;
  json::object out{{"state", phase_names[static_cast<std::size_t>(update.at)]}};
  if (update.at != phase::none) {
    out["done_bytes"] = update.done_bytes;
    out["all_bytes"] = update.all_bytes;
  }
  if (update.at == phase::done) out["result"] = outcome_json(update.outcome);
  if (update.at == phase::failed) out["error"] = told_to_clients(update.why);
  return json::serialize(out);
}

namespace {

// POST begins one and answers 202, or 409 while one is running; GET tells how it goes and, later,
// what came out.
boost::asio::awaitable<admin_answer> post_usage_rebuild(admin_context& context,
                                                        admin_request& request) {
  if (!context.usage_rebuilder) co_return not_counted();
  const auto command = parse_rebuild_request(request.body, wall_ms());
  if (!command) co_return answer_of(command.error());
  if (!context.usage_rebuild->begin()) {
    const problem busy{.status = 409,
                       .detail = "a rebuild is under way; GET this path tells how far"};
    co_return answer_of(busy);
  }
  caf::anon_send(context.usage_rebuilder, *command);
  admin_answer out;
  out.status = 202;
  out.body = rebuild_json(context.usage_rebuild->read());
  co_return out;
}

boost::asio::awaitable<admin_answer> get_usage_rebuild(admin_context& context, admin_request&) {
  if (!context.usage_rebuilder) co_return not_counted();
  admin_answer out;
  out.body = rebuild_json(context.usage_rebuild->read());
  co_return out;
}

constexpr admin_route routes_of_usage_rebuild[] = {
    {http::verb::get, "/v1/admin/usage/rebuild", get_usage_rebuild},
    {http::verb::post,
     "/v1/admin/usage/rebuild",
     post_usage_rebuild,
     {.max_body_bytes = small_body_bytes}},
};

} // namespace

std::span<const admin_route> usage_rebuild_routes() {
  return routes_of_usage_rebuild;
}

} // namespace penstock
