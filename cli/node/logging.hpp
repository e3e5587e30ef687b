// Logs: text or JSON lines on stderr, written by a thread of their own.
#pragma once

#include "cli/config/config.hpp"

#include <spdlog/formatter.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace penstock {

/// Messages that may wait for the log's thread; when it is full the oldest is dropped, since a
/// request must never wait for a terminal or a pipe.
inline constexpr std::size_t max_log_queue = 8192;

/// Makes spdlog's default logger an asynchronous one as set; call once, before other threads log.
void start_logging(const log_settings& settings, const std::string& node_name);

/// Any thread, any time: a reload. `level` has passed the configuration's check.
void set_log_level(const std::string& level);

/// Messages dropped because the queue was full.
std::uint64_t dropped_log_messages();

/// Writes what is queued and ends the log's thread; nothing may be logged afterwards.
void stop_logging();

/// One line a message: "2024-05-01T12:00:00.123Z info  a  message", or a JSON object with time,
/// level, message and node. Control characters are escaped, so that nothing a client sent can
/// forge a line.
std::unique_ptr<spdlog::formatter> make_log_formatter(const std::string& format,
                                                      const std::string& node_name);

/// Text inside a JSON string: quotes, backslashes and control characters are escaped; bytes that
/// are not UTF-8 become U+FFFD.
std::string json_escape(std::string_view text);

} // namespace penstock
