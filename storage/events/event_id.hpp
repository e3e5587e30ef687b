// Event ids: what a client is told in its 202 and what a sink sees, for ever.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace penstock {

/// An id is 16 lower-case hex digits of the sequence number, '-', and the journal's tag of 8
/// lower-case base-32 characters that is drawn at random when the data directory is made. So ids
/// sort as strings in journal order within a node, and never repeat across nodes or directories.
inline constexpr std::size_t event_id_size = 25;
inline constexpr std::size_t journal_tag_size = 8;

/// Writes exactly event_id_size characters to `out` and returns one past the last.
char* format_event_id(char* out, std::uint64_t seq, std::string_view tag);
std::string event_id(std::uint64_t seq, std::string_view tag);

struct parsed_event_id {
  std::uint64_t seq;
  std::string_view tag; ///< a view into the text that was parsed
};
/// Nothing if `text` is not an id of this form.
std::optional<parsed_event_id> parse_event_id(std::string_view text);

} // namespace penstock
