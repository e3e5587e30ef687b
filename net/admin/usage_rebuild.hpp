// The admin plane's way to have usage counted again from the journal.
#pragma once

#include "actors/usage/usage_rebuilder.hpp"
#include "net/admin/admin_routes.hpp"

namespace penstock {

/// Reads {"from":…,"to":…,"dry_run":…}: times as in reports, from -1h to now unless given. Errors:
/// invalid, naming the member and what would do.
result<usage_rebuild_request> parse_rebuild_request(std::string_view body, std::int64_t now_ms);

/// {"state":"none|running|done|failed","done_bytes":…,"all_bytes":…,"result":{…},"error":…}; the
/// result when done, the error when failed.
std::string rebuild_json(const usage_rebuild_board::news& news);

/// POST begins one and answers 202, or 409 while one is running; GET tells how it goes and, later,
/// what came out.
boost::asio::awaitable<admin_answer> post_usage_rebuild(admin_context& context,
                                                        admin_request& request);
boost::asio::awaitable<admin_answer> get_usage_rebuild(admin_context& context,
                                                       admin_request& request);

} // namespace penstock
