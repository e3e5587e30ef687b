// The admin plane's way to have usage counted again from the journal.
#pragma once

#include "actors/usage/usage_rebuilder.hpp"
#include "net/admin/admin_route.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace penstock {

/// Reads {"from":…,"to":…,"dry_run":…,"despite_copies":…}: times as in reports, from -1h to now
/// unless given. Errors: invalid, naming the member and what would do.
result<usage_rebuild_request> parse_rebuild_request(std::string_view body, std::int64_t now_ms);

/// {"state":"none|running|done|failed","done_bytes":…,"all_bytes":…,"result":{…},"error":…}; the
/// result when done, the error when failed.
std::string rebuild_json(const usage_rebuild_status::update& update);

} // namespace penstock
