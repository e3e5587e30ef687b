#include "net/admin/admin_routes.hpp"

#include "actors/base/error_text.hpp"
#include "net/admin/accounts.hpp"
#include "net/admin/dead_letters.hpp"
#include "net/admin/drain.hpp"
#include "net/admin/login.hpp"
#include "net/admin/queue.hpp"
#include "net/admin/replay.hpp"
#include "net/admin/usage.hpp"
#include "net/admin/usage_rebuild.hpp"
#include "net/base/ascii.hpp"
#include "net/base/stream_name.hpp"
#include "net/http/readiness.hpp"
#include "net/telemetry/status_page.hpp"

#include <spdlog/spdlog.h>

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

awaitable<admin_answer> get_live(admin_context&, admin_request&) {
  co_return admin_answer{.content_type = "text/plain; charset=utf-8", .body = "ok\n"};
}

awaitable<admin_answer> get_ready(admin_context& context, admin_request& request) {
  const auto state = readiness_of(context.node);
  co_return admin_answer{.status = state.ready ? 200u : 503u,
                         .content_type = "text/plain; charset=utf-8",
                         .body = readiness_text(state, state.ready, request.query)};
}

constexpr admin_name_check stream_name{is_stream_name, stream_name_rule};
constexpr admin_name_check plan_name{is_name,
                                     "A plan's name is letters, digits, '.', '_' and '-', at "
                                     "most 64, the first a letter or digit."};

// Bodies: of a few fields, of a key or a plan, of as many ids or receipts as there may be.
constexpr std::uint32_t small_body = 16u << 10;
constexpr std::uint32_t rules_body = 256u << 10;
constexpr std::uint32_t list_body = 1u << 20;
constexpr std::uint32_t page_answer = 4u << 20; // of dead letters; see admin_dead_letters.hpp

constexpr auto stranger = admin_kind::stranger;
constexpr auto consumers = admin_kind::consumers;
using http::verb;

constexpr admin_rules browser_form{
    .max_body_bytes = max_login_bytes, .kind = stranger, .open = true, .form = true, .vital = true};
constexpr admin_rules queue_read_rules{.name = &stream_name, .kind = consumers, .sized = true};
constexpr admin_rules queue_receive_rules{.name = &stream_name,
                                          .max_body_bytes = small_body,
                                          .kind = consumers,
                                          .waits = true,
                                          .sized = true};
constexpr admin_rules queue_settle_rules{
    .name = &stream_name, .max_body_bytes = list_body, .kind = consumers};

// Of routes that match the last counts.
constexpr admin_route routes[] = {
    {verb::get, "/livez", get_live, {.kind = stranger, .open = true, .vital = true}},
    {verb::get, "/readyz", get_ready, {.kind = stranger, .open = true, .vital = true}},
    {verb::get, "/metrics", get_metrics, {.session = true, .vital = true}},
    {verb::get, "/", get_page, {.open = true, .session = true, .vital = true}},
    {verb::get,
     "/login",
     get_page,
     {.open = true, .session = true, .vital = true}}, // as a bookmark
    {verb::post, "/login", post_login, browser_form},
    {verb::post, "/logout", post_logout, browser_form},
    {verb::get, "/v1/admin/status", get_status, {.session = true, .vital = true}},
    {verb::get, "/v1/admin/drain", get_drain, {.session = true, .vital = true}},
    {verb::post, "/v1/admin/drain", post_drain, {.max_body_bytes = small_body, .vital = true}},
    {verb::get, "/v1/admin/usage", get_usage, {.answer_bytes = page_answer}},
    {verb::get, "/v1/admin/usage/rebuild", get_usage_rebuild},
    {verb::post, "/v1/admin/usage/rebuild", post_usage_rebuild, {.max_body_bytes = small_body}},
    {verb::get, "/v1/queue/{stream}", get_queue, queue_read_rules},
    {verb::post, "/v1/queue/{stream}/receive", receive_from_queue, queue_receive_rules},
    {verb::post, "/v1/queue/{stream}/ack", ack_to_queue, queue_settle_rules},
    {verb::post, "/v1/queue/{stream}/nack", nack_to_queue, queue_settle_rules},
    {verb::get, "/v1/admin/keys", get_keys, {.answer_bytes = page_answer}},
    {verb::post, "/v1/admin/keys", post_key, {.max_body_bytes = rules_body}},
    {verb::delete_, "/v1/admin/keys/{id}", delete_key, {.max_body_bytes = small_body}},
    {verb::get, "/v1/admin/plans", get_all_plans},
    {verb::get, "/v1/admin/plans/{name}", get_plan, {.name = &plan_name}},
    {verb::put,
     "/v1/admin/plans/{name}",
     put_one_plan,
     {.name = &plan_name, .max_body_bytes = rules_body}},
    {verb::delete_,
     "/v1/admin/plans/{name}",
     delete_one_plan,
     {.name = &plan_name, .max_body_bytes = small_body}},
    {verb::get, "/v1/admin/dead-letters", get_dead_letters, {.answer_bytes = page_answer}},
    {verb::get, "/v1/admin/dead-letters/{id}", get_dead_letter, {.answer_bytes = page_answer}},
    {verb::get,
     "/v1/admin/dead-letters/export",
     export_dead_letters,
     {.answer_bytes = page_answer}},
    {verb::post,
     "/v1/admin/dead-letters/replay",
     retry_dead_letters,
     {.max_body_bytes = list_body}},
    {verb::post, "/v1/admin/dead-letters/drop", drop_dead_letters, {.max_body_bytes = list_body}},
    {verb::get, "/v1/admin/replay", get_replays},
    {verb::post, "/v1/admin/replay", post_replay, {.max_body_bytes = small_body}},
    {verb::get, "/v1/admin/replay/{id}", get_replay},
    {verb::post, "/v1/admin/replay/{id}/cancel", cancel_replay, {.max_body_bytes = small_body}},
    {verb::post, "/v1/admin/replay/{id}/resume", resume_replay, {.max_body_bytes = small_body}},
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
  const auto what = problem_from(why);
  if (what.detail != why.message) spdlog::warn("admin plane: {}", why.message);
  return answer_of(what);
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

admin_admission admit_admin(const admin_context& context, admin_request& request) {
  const auto method = request.method == verb::head ? verb::get : request.method;
  const admin_route* found = nullptr;
  std::string allow;
  for (const auto& candidate : routes) {
    auto name = match_route(candidate.pattern, request.path);
    if (!name) continue;
    allow += (allow.empty() ? "" : ", ") + std::string{http::to_string(candidate.method)};
    if (candidate.method == verb::get) allow += ", HEAD";
    if (candidate.method == method) {
      found = &candidate;
      request.name = std::move(*name);
    }
  }
  request.trusted = context.token.admits(request.authorization) ||
                    (found && found->rules.session && has_session(context, request));
  // Without the token nobody learns which paths there are.
  if (!request.trusted && !(found && found->rules.open))
    return {nullptr, answer_of(problem{.status = 401,
                                       .detail = "send the admin token as 'Authorization: Bearer "
                                                 "TOKEN'"})};
  if (!found && !allow.empty()) return {nullptr, not_allowed(allow)};
  if (!found)
    return {nullptr, answer_of(problem{.status = 404, .detail = "there is nothing at this path"})};
  if (found->rules.name && !found->rules.name->is_one(request.name))
    return {nullptr,
            answer_of(problem{.status = 400, .detail = std::string{found->rules.name->rule}})};
  return {found};
}

} // namespace penstock
