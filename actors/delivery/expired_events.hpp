// Events that a stream lets go because it holds too much, or too old ones.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>

namespace penstock {

/// How many a sink lets go of a stream in one upkeep.
inline constexpr std::size_t max_expired_at_once = 200'000;

/// Those of one upkeep: the loss is counted, and told with its first and its last event.
struct expired_events {
  std::uint64_t count = 0;
  std::uint64_t first_seq = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t last_seq = 0;

  void note(std::uint64_t seq) {
    ++count;
    first_seq = std::min(first_seq, seq);
    last_seq = std::max(last_seq, seq);
  }
  /// Writes the sentence. `sink`: who lets them go; `tag`: as in the events' ids.
  void tell(const std::string& sink, const std::string& stream, const std::string& tag) const;
};

} // namespace penstock
