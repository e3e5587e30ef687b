// Makes room in a journal's middle: retires segments of which nothing is owed, wherever they lie,
// and moves what little others owe.
#pragma once

#include "actors/retention/backlog_book.hpp"
#include "actors/retention/space_plan.hpp"
#include "storage/journal/segment_keeper.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace penstock {

struct space_parts {
  std::shared_ptr<segment_keeper> segments;
  std::shared_ptr<segment_catalog> catalog;
  backlog_source backlog; ///< asked once a pass; none: no room is made in the middle
  std::uint64_t max_bytes = 0;
  std::uint64_t segment_max_bytes = 0;
  /// Segments that one pass measures, and again moves, by their size; one in any case.
  std::uint64_t pass_max_bytes = std::numeric_limits<std::uint64_t>::max();
  /// The last segment that has events stays: a restart learns from it how far the journal came.
  bool keeps_last = false;
};

/// One thread uses it; it blocks on the disk.
class space_maker {
 public:
  /// Segments measured in one pass, at most, and how long a measure holds: what is owed only
  /// shrinks, so an old one errs on the safe side.
  static constexpr std::size_t max_measures = 16;
  static constexpr std::int64_t measure_holds_ms = 10'000;
  static constexpr std::int64_t measure_holds_when_short_ms = 1'000; ///< half of the room is used
  static constexpr std::size_t max_moves = 16;                       ///< in one pass
  /// A pass is made so often; when half of the room is used, or such a part of it since the last
  /// one, at each call.
  static constexpr std::int64_t pass_interval_ms = 1'000;
  static constexpr std::uint64_t urgent_growth = 8;
  /// After a pass there is none for so many times as long as it took.
  static constexpr std::int64_t rest_after_pass = 30;
  static constexpr std::int64_t rest_when_urgent = 1;

  struct outcome {
    std::size_t retired = 0;
    std::size_t moved = 0; ///< segments that were put into others
    result<void> done;     ///< what failed; the rest was done
  };

  explicit space_maker(space_parts parts) : parts_(std::move(parts)) {}

  /// Makes a pass, if one is due. `before_ms`: segments whose last event is younger stay. `clock`
  /// gives milliseconds of a clock that never goes back.
  outcome make_room(std::int64_t before_ms, const std::function<std::int64_t()>& clock);
  std::uint64_t moved_bytes() const { return parts_.segments->moved_bytes(); }

 private:
  struct measure {
    std::uint64_t backlog_bytes = 0;
    std::int64_t at_ms = 0;
  };
  bool is_due(std::int64_t now_ms) const;
  bool may_go(const segment_info& segment, std::int64_t before_ms) const;
  bool may_measure(const segment_info& segment) const;
  bool is_short() const;
  bool has_grown() const;
  space_rules rules() const;
  void pass(std::int64_t before_ms, std::int64_t now_ms, outcome& out);
  segment_share share_of(const segment_info& segment, const backlog_events& backlog,
                         std::int64_t now_ms, outcome& out);
  void move(const std::vector<std::uint64_t>& numbers, const backlog_events& backlog, outcome& out);

  space_parts parts_;
  std::map<std::uint64_t, measure> measures_; // by number
  std::size_t measured_ = 0;                  // in this pass
  std::uint64_t measured_bytes_ = 0;          // likewise
  std::int64_t ended_ms_ = 0;                 // the last pass
  std::int64_t took_ms_ = 0;
  std::uint64_t left_bytes_ = 0; // by the last pass
  bool has_passed_ = false;
};

} // namespace penstock
