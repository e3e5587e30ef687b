// Times as people and programs write them: RFC 3339, UTC.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace penstock {

/// "2026-11-21T20:47:57.123Z" for milliseconds since the Unix epoch.
std::string rfc3339(std::int64_t time_ms);

/// Milliseconds since the Unix epoch; any offset, any number of fraction digits (cut to ms).
/// Nothing if `text` is not RFC 3339.
std::optional<std::int64_t> parse_rfc3339(std::string_view text);

/// The same, or "now", or so long before now: "-90s", "-5m", "-24h", "-30d". Milliseconds since the
/// Unix epoch; nothing for other text.
std::optional<std::int64_t> parse_time(std::string_view text, std::int64_t now_ms);

} // namespace penstock
