// What the admin plane answers: all of its routes.
#pragma once

#include "net/admin/admin_route.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace penstock {

struct admin_admission {
  const admin_route* route = nullptr; ///< null: `refusal` says why
  admin_answer refusal{};
};

/// Finds the route and looks for the token or a session, before the body is read. HEAD is answered
/// like GET. Sets `trusted` and `name`.
admin_admission admit_admin(const admin_context& context, admin_request& request);

/// The part of `path` that stands for the one {…} in `pattern`, decoded; "" when the pattern has
/// none; nothing when the path does not match.
std::optional<std::string> match_route(std::string_view pattern, std::string_view path);

} // namespace penstock
