#include "actors/retention/space_plan.hpp"

#include "storage/journal/segment_mover.hpp"

#include <algorithm>

namespace penstock {

namespace {

constexpr std::size_t neighbours_together = 8;
constexpr std::size_t neighbours_when_short = 4;

bool is_short(const space_rules& rules) {
  return rules.used_bytes >= rules.max_bytes / 2;
}

bool is_worthwhile(const segment_share& one, const space_rules& rules) {
  return one.backlog_bytes <= most_backlog(one.bytes, rules);
}

/// What a move left, as a rule. Joining it with others saves what an empty segment takes; a larger
/// one would be written again and again for that.
bool is_tiny(const segment_share& one) {
  return one.bytes < 2 * least_segment_bytes;
}

struct run {
  std::vector<std::uint64_t> numbers;
  std::uint64_t bytes = 0;
  std::uint64_t backlog_bytes = 0;
  bool has_worthwhile = false; ///< one that is worth moving by itself

  void add(const segment_share& one, const space_rules& rules) {
    numbers.push_back(one.number);
    bytes += one.bytes;
    backlog_bytes += one.backlog_bytes;
    has_worthwhile = has_worthwhile || is_worthwhile(one, rules);
  }
  std::uint64_t bytes_after() const { return backlog_bytes + least_segment_bytes; }
  bool is_worth_it(const space_rules& rules) const {
    if (bytes_after() > bytes / 3 * 2) return false;
    const auto enough = is_short(rules) ? neighbours_when_short : neighbours_together;
    return has_worthwhile || numbers.size() >= enough;
  }
};

} // namespace

std::uint64_t least_gain(const space_rules& rules) {
  if (rules.used_bytes >= rules.max_bytes / 4 * 3) return 2;
  return is_short(rules) ? 8 : 32;
}

std::uint64_t most_backlog(std::uint64_t bytes, const space_rules& rules) {
  // Of a segment that is hardly larger than an empty one nothing is gained.
  return bytes < 2 * least_segment_bytes ? 0 : bytes / least_gain(rules);
}

std::vector<std::vector<std::uint64_t>> plan_moves(const std::vector<segment_share>& segments,
                                                   const space_rules& rules) {
  std::vector<std::vector<std::uint64_t>> moves;
  run neighbours;
  std::uint64_t planned_bytes = 0;
  const auto end_run = [&] {
    const bool has_room = moves.empty() || planned_bytes + neighbours.bytes <= rules.pass_max_bytes;
    if (has_room && neighbours.is_worth_it(rules)) {
      moves.push_back(neighbours.numbers);
      planned_bytes += neighbours.bytes;
    }
    neighbours = {};
  };
  for (const auto& one : segments) {
    const bool fits = one.may_move && one.is_measured &&
                      (is_worthwhile(one, rules) || is_tiny(one)) &&
                      one.backlog_bytes + least_segment_bytes <= rules.segment_max_bytes / 2;
    if (!fits || neighbours.bytes + one.bytes > rules.pass_max_bytes ||
        neighbours.bytes_after() + one.backlog_bytes > rules.segment_max_bytes / 2)
      end_run();
    if (fits) neighbours.add(one, rules);
  }
  end_run();
  return moves;
}

} // namespace penstock
