#include "net/admin_routes.hpp"

#include "actors/wording.hpp"
#include "net/admin_accounts.hpp"
#include "net/admin_dead_letters.hpp"
#include "net/admin_drain.hpp"
#include "net/admin_queue.hpp"
#include "net/admin_replay.hpp"
#include "net/admin_usage.hpp"
#include "net/admin_usage_rebuild.hpp"
#include "net/ascii.hpp"
#include "net/status_page.hpp"
#include "net/stream_name.hpp"

#include <array>
#include <charconv>

namespace penstock {

namespace {

namespace http = boost::beast::http;
using boost::asio::awaitable;

awaitable<admin_answer> get_metrics(admin_context& context, admin_request&) {
  co_return admin_answer{.content_type = metrics_content_type,
                         .body = metrics_page(context.metrics)};
}

awaitable<admin_answer> get_status(admin_context& context, admin_request&) {
  co_return admin_answer{.body = status_json(context.metrics, context.node)};
}

awaitable<admin_answer> get_page(admin_context&, admin_request&) {
  co_return admin_answer{.content_type = "text/html; charset=utf-8",
                         .body = std::string{status_page_html}};
}

awaitable<admin_answer> get_live(admin_context&, admin_request&) {
  co_return admin_answer{.content_type = "text/plain; charset=utf-8", .body = "ok\n"};
}

awaitable<admin_answer> get_ready(admin_context& context, admin_request& request) {
  const bool draining = context.node.draining.load(std::memory_order_relaxed);
  const bool full = context.node.journal_full.load(std::memory_order_relaxed);
  const bool scarce = context.node.journal_scarce.load(std::memory_order_relaxed);
  const bool ready = context.node.ready.load(std::memory_order_relaxed) && !draining && !full;
  std::string body = ready ? "ok\n" : "not ready\n";
  if (request.query.find("verbose") != request.query.npos) {
    body += draining ? "draining: yes\n" : "draining: no\n";
    body += full ? "journal: full\n" : scarce ? "journal: scarce\n" : "journal: ok\n";
  }
  co_return admin_answer{.status = ready ? 200u : 503u,
                         .content_type = "text/plain; charset=utf-8",
                         .body = std::move(body)};
}

// What the {…} of a pattern may be; without one the route looks for itself.
struct name_check {
  bool (*is_one)(std::string_view);
  std::string_view rule;
};
constexpr name_check stream_name{is_stream_name, stream_name_rule};
constexpr name_check plan_name{is_name, "A plan's name is letters, digits, '.', '_' and '-', at "
                                        "most 64, the first a letter or digit."};

struct route {
  http::verb method;
  std::string_view pattern;
  awaitable<admin_answer> (*run)(admin_context&, admin_request&);
  bool open = false; // needs no token: probes have none
  const name_check* name = nullptr;
};

constexpr std::array routes{
    route{http::verb::get, "/livez", get_live, true},
    route{http::verb::get, "/readyz", get_ready, true},
    route{http::verb::get, "/metrics", get_metrics},
    route{http::verb::get, "/", get_page},
    route{http::verb::get, "/v1/admin/status", get_status},
    route{http::verb::get, "/v1/admin/drain", get_drain},
    route{http::verb::post, "/v1/admin/drain", post_drain},
    route{http::verb::get, "/v1/admin/usage", get_usage},
    route{http::verb::get, "/v1/admin/usage/rebuild", get_usage_rebuild},
    route{http::verb::post, "/v1/admin/usage/rebuild", post_usage_rebuild},
    route{http::verb::get, "/v1/queue/{stream}", get_queue, false, &stream_name},
    route{http::verb::post, "/v1/queue/{stream}/receive", receive_from_queue, false, &stream_name},
    route{http::verb::post, "/v1/queue/{stream}/ack", ack_to_queue, false, &stream_name},
    route{http::verb::post, "/v1/queue/{stream}/nack", nack_to_queue, false, &stream_name},
    route{http::verb::get, "/v1/admin/keys", get_keys},
    route{http::verb::post, "/v1/admin/keys", post_key},
    route{http::verb::delete_, "/v1/admin/keys/{id}", delete_key},
    route{http::verb::get, "/v1/admin/plans", get_all_plans},
    route{http::verb::get, "/v1/admin/plans/{name}", get_plan, false, &plan_name},
    route{http::verb::put, "/v1/admin/plans/{name}", put_one_plan, false, &plan_name},
    route{http::verb::delete_, "/v1/admin/plans/{name}", delete_one_plan, false, &plan_name},
    route{http::verb::get, "/v1/admin/dead-letters", get_dead_letters},
    route{http::verb::get, "/v1/admin/dead-letters/{id}", get_dead_letter},
    // After {id}: of routes that match the last counts.
    route{http::verb::get, "/v1/admin/dead-letters/export", export_dead_letters},
    route{http::verb::post, "/v1/admin/dead-letters/replay", retry_dead_letters},
    route{http::verb::post, "/v1/admin/dead-letters/drop", drop_dead_letters},
    route{http::verb::get, "/v1/admin/replay", get_replays},
    route{http::verb::post, "/v1/admin/replay", post_replay},
    route{http::verb::get, "/v1/admin/replay/{id}", get_replay},
    route{http::verb::post, "/v1/admin/replay/{id}/cancel", cancel_replay},
    route{http::verb::post, "/v1/admin/replay/{id}/resume", resume_replay},
};

admin_answer not_allowed(const std::string& allow) {
  auto out = answer_of(problem{.status = 405, .detail = "only " + allow + " is answered here"});
  out.allow = allow;
  return out;
}

} // namespace

admin_answer answer_of(const problem& what) {
  return {.status = what.status,
          .content_type = std::string{problem_content_type},
          .body = to_json(what)};
}

admin_answer answer_of(const error& why) {
  return answer_of(problem_from(why));
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

std::optional<std::string> query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const auto end = query.find('&');
    const auto pair = query.substr(0, end);
    query = end == query.npos ? std::string_view{} : query.substr(end + 1);
    const auto equals = pair.find('=');
    if (pair.substr(0, equals) != name) continue;
    return percent_decode(equals == pair.npos ? std::string_view{} : pair.substr(equals + 1));
  }
  return std::nullopt;
}

std::optional<std::string> match_route(std::string_view pattern, std::string_view path) {
  const auto at = pattern.find('{');
  if (at == pattern.npos) return pattern == path ? std::optional<std::string>{""} : std::nullopt;
  const auto before = pattern.substr(0, at);
  const auto after = pattern.substr(pattern.find('}') + 1);
  if (path.size() <= before.size() + after.size() || path.substr(0, at) != before ||
      path.substr(path.size() - after.size()) != after)
    return std::nullopt;
  const auto value = path.substr(at, path.size() - before.size() - after.size());
  if (value.find('/') != value.npos) return std::nullopt;
  return percent_decode(value);
}

awaitable<admin_answer> route_admin(admin_context& context, admin_request& request) {
  const route* found = nullptr;
  std::string allow;
  for (const auto& candidate : routes) {
    auto name = match_route(candidate.pattern, request.path);
    if (!name) continue;
    allow += (allow.empty() ? "" : ", ") + std::string{http::to_string(candidate.method)};
    if (candidate.method == request.method) {
      found = &candidate;
      request.name = std::move(*name);
    }
  }
  // Without the token nobody learns which paths there are.
  if ((!found || !found->open) && !context.token.admits(request.authorization))
    co_return answer_of(
        problem{.status = 401, .detail = "send the admin token as 'Authorization: Bearer TOKEN'"});
  if (!found && !allow.empty()) co_return not_allowed(allow);
  if (!found)
    co_return answer_of(problem{.status = 404, .detail = "there is nothing at this path"});
  if (found->name && !found->name->is_one(request.name))
    co_return answer_of(problem{.status = 400, .detail = std::string{found->name->rule}});
  co_return co_await found->run(context, request);
}

} // namespace penstock
