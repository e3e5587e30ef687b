// The status page in a browser: a form takes the token, and a cookie stands for it from then on.
#pragma once

#include "net/admin/admin_route.hpp"

#include <cstdint>

namespace penstock {

/// The largest form.
inline constexpr std::uint32_t max_login_bytes = 4u << 10;

/// Whether the request's cookie is that of a session.
bool has_session(const admin_context& context, const admin_request& request);

} // namespace penstock
