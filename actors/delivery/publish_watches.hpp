// Who waits until a sink has certain events of a stream.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <vector>

namespace penstock {

/// Waits of one stream and sink; beyond it the oldest are forgotten, whose front ends give up by
/// themselves.
inline constexpr std::size_t max_watches = 262'144;
/// Dead events that are remembered for those who ask late.
inline constexpr std::size_t max_recent_dead = 1024;

/// Pure. A wait is for all events of a client in a closed range of sequence numbers, hence of one
/// lane; `front_end` is the caller's own number for who asked.
class publish_watches {
 public:
  struct wait {
    std::uint64_t token = 0;
    std::uint64_t first_seq = 0;
    std::uint64_t last_seq = 0;
    std::uint32_t front_end = 0;
    std::int64_t expires_ms = 0;
  };
  struct answer {
    std::uint32_t front_end = 0;
    std::uint64_t token = 0;
    bool published = true;
  };

  explicit publish_watches(std::uint32_t lanes) : lanes_(lanes) {}

  /// Adds a wait, or answers it at once: `confirmed` as in advance().
  void add(std::uint32_t lane, const wait& what, std::uint64_t confirmed,
           std::vector<answer>& answers);
  /// All events of the lane up to `confirmed` are settled.
  void advance(std::uint32_t lane, std::uint64_t confirmed, std::vector<answer>& answers);
  /// An event of the lane became a dead letter.
  void died(std::uint32_t lane, std::uint64_t seq, std::vector<answer>& answers);
  void forget_expired(std::int64_t now_ms);
  std::size_t size() const { return size_; }

 private:
  void forget_one(std::uint32_t lane);

  std::vector<std::multimap<std::uint64_t, wait>> lanes_; // by last_seq
  std::deque<std::uint64_t> dead_;
  std::size_t size_ = 0;
};

} // namespace penstock
