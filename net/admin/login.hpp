// The status page in a browser: a form takes the token, and a cookie stands for it from then on.
#pragma once

#include "net/admin/admin_routes.hpp"

#include <cstdint>

namespace penstock {

/// The largest form.
inline constexpr std::uint32_t max_login_bytes = 4u << 10;

/// GET /: the status page, or a form (with 401) for who has neither the token nor a session.
boost::asio::awaitable<admin_answer> get_page(admin_context& context, admin_request& request);
/// POST /login token=…: 303 to the page with the cookie, or the form again: 401 for another token,
/// 429 when too many were wrong lately.
boost::asio::awaitable<admin_answer> post_login(admin_context& context, admin_request& request);
/// POST /logout: 303 to the page; the session is over.
boost::asio::awaitable<admin_answer> post_logout(admin_context& context, admin_request& request);

/// Whether the request's cookie is that of a session.
bool has_session(const admin_context& context, const admin_request& request);

} // namespace penstock
