#include "net/admin/login.hpp"

#include "net/telemetry/status_page.hpp"

#include <algorithm>
#include <chrono>

namespace penstock {

namespace {

namespace http = boost::beast::http;
using boost::asio::awaitable;

std::int64_t steady_ms() {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
}

admin_answer page_answer_of(unsigned status, std::string page) {
  return {.status = status,
          .content_type = "text/html; charset=utf-8",
          .body = std::move(page),
          .headers = {{"Content-Security-Policy", page_policy()}}};
}

/// To the page, which lies beside the form's address, also behind a proxy's prefix.
admin_answer to_the_page(std::string cookie) {
  admin_answer out{.status = 303, .content_type = "text/plain; charset=utf-8"};
  out.headers = {{"Location", "./"}};
  if (!cookie.empty()) out.headers.emplace_back("Set-Cookie", std::move(cookie));
  return out;
}

std::string_view session_of(const admin_context& context, const admin_request& request) {
  return cookie_in(request.cookie, session_cookie_name(context.port));
}

} // namespace

bool has_session(const admin_context& context, const admin_request& request) {
  const auto session = session_of(context, request);
  return !session.empty() && context.sessions.knows(session, steady_ms());
}

namespace {

// GET /: the status page, or a form (with 401) for who has neither the token nor a session.
awaitable<admin_answer> get_page(admin_context& context, admin_request& request) {
  if (!request.trusted) co_return page_answer_of(401, login_page(""));
  co_return page_answer_of(200, status_page(has_session(context, request)));
}

// POST /login token=…: 303 to the page with the cookie, or the form again: 401 for another token,
// 429 when too many were wrong lately.
awaitable<admin_answer> post_login(admin_context& context, admin_request& request) {
  if (!context.token.is_set()) co_return to_the_page("");
  const auto now_ms = steady_ms();
  if (!context.sessions.may_log_in(now_ms)) {
    auto busy = page_answer_of(429, login_page("Too many wrong tokens; try again in a second."));
    busy.headers.emplace_back("Retry-After", "1");
    co_return busy;
  }
  std::string form{request.body};
  std::replace(form.begin(), form.end(), '+', ' ');
  const auto token = query_value(form, "token");
  if (!token || !context.token.is(*token)) {
    context.sessions.note_wrong_login(now_ms);
    co_return page_answer_of(401, login_page("That is not the token of this node."));
  }
  const auto session = context.sessions.begin(now_ms);
  if (session.empty())
    co_return page_answer_of(503, login_page("This machine gives no random numbers."));
  co_return to_the_page(session_cookie(context.port, session, request.tls));
}

// POST /logout: 303 to the page; the session is over.
awaitable<admin_answer> post_logout(admin_context& context, admin_request& request) {
  context.sessions.end(session_of(context, request));
  co_return to_the_page(session_cookie(context.port, "", request.tls));
}

constexpr admin_rules browser_form{.max_body_bytes = max_login_bytes,
                                   .kind = admin_kind::stranger,
                                   .open = true,
                                   .form = true,
                                   .vital = true};

constexpr admin_route routes_of_login[] = {
    {http::verb::get, "/", get_page, {.open = true, .session = true, .vital = true}},
    {http::verb::get,
     "/login",
     get_page,
     {.open = true, .session = true, .vital = true}}, // as a bookmark
    {http::verb::post, "/login", post_login, browser_form},
    {http::verb::post, "/logout", post_logout, browser_form},
};

} // namespace

std::span<const admin_route> login_routes() {
  return routes_of_login;
}

} // namespace penstock
