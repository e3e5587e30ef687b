// Why an answer can't say that the sinks, or a second node, have the events.
#pragma once

#include <array>
#include <cstdint>

namespace penstock {

/// Why a 202 can't say that the sinks, or a second node, have the events, although the stream's ack
/// is "published" or "replicated".
enum class unpublished : std::uint8_t {
  no,          ///< it can
  earlier,     ///< an earlier request stored them; what became of them since is not looked up
  late,        ///< not within the stream's publish_timeout or replicate_timeout
  dead_letter, ///< a sink refused one for good
  draining,    ///< the node ends before they are confirmed
  too_many,    ///< as many requests wait as may
  alone,       ///< with "replicated": no other node is in reach
  /// Only between nodes: a second node has them, and nothing is said of the sinks.
  replicated,
};
inline constexpr std::array<const char*, 7> unpublished_names{
    "", "earlier", "late", "dead_letter", "draining", "too_many", "alone"};

} // namespace penstock
