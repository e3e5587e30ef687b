// Where the events of a stream are posted.
#pragma once

#include "storage/base/result.hpp"

#include <string>
#include <string_view>

namespace penstock {

/// "" or why the URL can't be one for all streams: `{stream}` may stand in its path and its query,
/// not in what says to which server it goes.
std::string http_pattern_fault(std::string_view pattern);

/// The URL for a stream, whose name is percent-encoded. Errors: invalid, when a part of the path
/// that has the name would be "." or "..", which leads to another path.
result<std::string> fill_http_url(std::string_view pattern, std::string_view stream);

} // namespace penstock
