#include "actors/base/seq_ranges.hpp"

#include <algorithm>
#include <iterator>

namespace penstock {

void seq_ranges::add(std::uint64_t first, std::uint64_t last) {
  auto at = ranges_.upper_bound(first);
  if (at != ranges_.begin()) {
    const auto before = std::prev(at);
    if (before->second + 1 >= first) {
      first = before->first;
      last = std::max(last, before->second);
      at = ranges_.erase(before);
    }
  }
  while (at != ranges_.end() && at->first <= last + 1) {
    last = std::max(last, at->second);
    at = ranges_.erase(at);
  }
  ranges_.emplace_hint(at, first, last);
}

bool seq_ranges::covers(std::uint64_t first, std::uint64_t last) const {
  const auto after = ranges_.upper_bound(first);
  return after != ranges_.begin() && std::prev(after)->second >= last;
}

bool seq_ranges::overlaps(std::uint64_t first, std::uint64_t last) const {
  const auto after = ranges_.upper_bound(last);
  return after != ranges_.begin() && std::prev(after)->second >= first;
}

std::uint64_t seq_ranges::advance(std::uint64_t seq) {
  while (!ranges_.empty() && ranges_.begin()->first <= seq + 1) {
    seq = std::max(seq, ranges_.begin()->second);
    ranges_.erase(ranges_.begin());
  }
  return seq;
}

std::vector<seq_ranges::range> seq_ranges::lowest(std::size_t max) const {
  const auto count = std::min(max, ranges_.size());
  return {ranges_.begin(), std::next(ranges_.begin(), static_cast<std::ptrdiff_t>(count))};
}

} // namespace penstock
