// A set of sequence numbers kept as closed ranges.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

namespace penstock {

/// Ranges that touch or overlap are merged. Each operation costs a logarithm of their number.
class seq_ranges {
 public:
  using range = std::pair<std::uint64_t, std::uint64_t>;

  /// Adds [first, last]; first <= last.
  void add(std::uint64_t first, std::uint64_t last);
  bool contains(std::uint64_t seq) const { return covers(seq, seq); }
  /// Whether one range holds [first, last].
  bool covers(std::uint64_t first, std::uint64_t last) const;

  /// Whether one of [first, last] is in some range.
  bool overlaps(std::uint64_t first, std::uint64_t last) const;

  /// Takes out the range that holds or follows directly after `seq` and everything before it;
  /// gives its end, or `seq` if there is no such range.
  std::uint64_t advance(std::uint64_t seq);

  std::size_t size() const { return ranges_.size(); }
  bool empty() const { return ranges_.empty(); }
  /// The lowest ranges, at most `max`.
  std::vector<range> lowest(std::size_t max) const;

 private:
  std::map<std::uint64_t, std::uint64_t> ranges_; // first → last
};

} // namespace penstock
