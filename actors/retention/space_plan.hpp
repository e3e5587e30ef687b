// Which segments are worth moving: what little they still owe goes into one small segment.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

namespace penstock {

/// What a segment takes, and what of it is owed.
struct segment_share {
  std::uint64_t number = 0;
  std::uint64_t bytes = 0;
  /// At least; exact if it was measured.
  std::uint64_t backlog_bytes = 0;
  bool is_measured = false;
  bool may_move = false; ///< it is complete, sound, and no younger than journal.retention
};

struct space_rules {
  std::uint64_t used_bytes = 0; ///< of all segments
  std::uint64_t max_bytes = 0;  ///< journal.max_size
  std::uint64_t segment_max_bytes = 0;
  /// Segments read in one pass, by their size; one is read, however large.
  std::uint64_t pass_max_bytes = std::numeric_limits<std::uint64_t>::max();
};

/// The largest part of a segment that may be owed for it to be worth moving, as one in so many: 32
/// while there is plenty of room, so that moves cost little beside what was written, and 2 when
/// three quarters are used.
std::uint64_t least_gain(const space_rules& rules);

/// How much may be owed of a segment of that size; no more needs to be measured.
std::uint64_t most_backlog(std::uint64_t bytes, const space_rules& rules);

/// Neighbours that are moved together, in journal order. Small ones that
/// moves left are taken together again by eights, or by fours when space is short, so that their
/// number stays small; larger ones are moved only if most of them is free. What is over
/// pass_max_bytes is left for another pass. Pure.
std::vector<std::vector<std::uint64_t>> plan_moves(const std::vector<segment_share>& segments,
                                                   const space_rules& rules);

} // namespace penstock
