// Keys and plans on the admin plane.
#pragma once

#include "net/admin/admin_routes.hpp"

#include <chrono>

namespace penstock {

/// How long the accounts actor may take; it syncs a disk.
inline constexpr std::chrono::seconds accounts_answer_timeout{10};

/// Streams, origins or networks that one key can be restricted to, each.
inline constexpr std::size_t max_restrictions = 32;

/// Keys in one answer: unless ?limit= says otherwise, and at most.
inline constexpr std::uint32_t default_key_page = 1'000;
inline constexpr std::uint32_t max_key_page = 10'000;

/// POST /v1/admin/keys {"account":…,"plan":…,"streams":[…],"origins":[…],"networks":[…],
/// "expires":…}, all but the first two optional: 201 with the key, which is shown only here. When
/// the answer can't be delivered, the key is revoked again.
boost::asio::awaitable<admin_answer> post_key(admin_context& context, admin_request& request);

/// GET /v1/admin/keys?account=&after=&limit=: {"keys":[…],"next":…} by id, revoked ones too.
boost::asio::awaitable<admin_answer> get_keys(admin_context& context, admin_request& request);

/// DELETE /v1/admin/keys/{id}: 204; 404 for an id that was never given.
boost::asio::awaitable<admin_answer> delete_key(admin_context& context, admin_request& request);

/// GET /v1/admin/plans: {"plans":[{"name":…,"limits":[…],"source":…,"keys":…,"changed":…}]}.
boost::asio::awaitable<admin_answer> get_all_plans(admin_context& context, admin_request& request);

/// GET /v1/admin/plans/{name}: one of these.
boost::asio::awaitable<admin_answer> get_plan(admin_context& context, admin_request& request);

/// PUT /v1/admin/plans/{name} {"limits":[…]}: 200.
boost::asio::awaitable<admin_answer> put_one_plan(admin_context& context, admin_request& request);

/// DELETE /v1/admin/plans/{name}: 204; 400 for one that keys use or that the configuration has.
boost::asio::awaitable<admin_answer> delete_one_plan(admin_context& context,
                                                     admin_request& request);

} // namespace penstock
