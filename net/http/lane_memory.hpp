// What one lane holds for its clients: the ledger of http.max_in_flight.
#pragma once

#include "net/http/front_end_metrics.hpp"
#include "storage/base/assert.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace penstock {

/// Sessions and the front end enter here what they keep for clients, by part, as it changes; all
/// decisions to take no more ask here. Buffers are counted by what is in them, answers by their
/// capacity. One thread; a change is a few additions.
///
/// Of the bound a quarter is a reserve: who holds much is refused when the rest is used up, who
/// holds little only at the bound itself. "Little" is an equal share of the reserve for each open
/// connection, so that those who hold little always find room, whatever the others do.
class lane_memory {
 public:
  /// The least that counts as little, however many connections there are.
  static constexpr std::size_t min_share_bytes = 2 << 10;
  static constexpr std::size_t reserve_divisor = 4;

  lane_memory(std::uint64_t max_bytes, front_end_metrics& metrics)
      : max_bytes_(max_bytes), gauges_(metrics.memory_bytes) {
    metrics.memory_max_bytes.set(static_cast<std::int64_t>(max_bytes));
  }

  /// What was `before` is `after`.
  void change(memory_part part, std::size_t before, std::size_t after) {
    PENSTOCK_ASSERT(total_ + after >= before);
    const auto more = static_cast<std::int64_t>(after) - static_cast<std::int64_t>(before);
    total_ += static_cast<std::size_t>(more);
    gauges_[static_cast<std::size_t>(part)].add(more);
  }
  void opened() { ++connections_; }
  void closed() {
    PENSTOCK_ASSERT(connections_ > 0);
    --connections_;
  }

  std::size_t total() const { return total_; }
  std::size_t of(memory_part part) const {
    return static_cast<std::size_t>(gauges_[static_cast<std::size_t>(part)].value());
  }

  /// Whether `more` bytes may be held beside `others` (the total without them, should they be
  /// counted already) for a connection that holds `own` of the others. A single request is always
  /// taken.
  bool has_room(std::size_t others, std::size_t own, std::size_t more) const {
    if (others == 0 || others + more <= max_bytes_ - reserve_bytes()) return true;
    return others + more <= max_bytes_ && own + more <= share_bytes();
  }
  /// Whether only who holds little is let in: connections are to make do with one request at a
  /// time, and slow clients that hold something are let go of.
  bool is_scarce() const { return total_ > max_bytes_ - reserve_bytes(); }
  /// By how much.
  std::size_t scarce_bytes() const {
    return is_scarce() ? total_ - (max_bytes_ - reserve_bytes()) : 0;
  }
  std::size_t share_bytes() const {
    return std::max(min_share_bytes, reserve_bytes() / std::max<std::size_t>(connections_, 1));
  }

 private:
  std::size_t reserve_bytes() const { return max_bytes_ / reserve_divisor; }

  std::size_t max_bytes_;
  std::size_t total_ = 0;
  std::size_t connections_ = 0;
  std::array<gauge, memory_part_names.size()>& gauges_;
};

/// What a buffer holds on to; the little that empty ones keep belongs to the connection.
inline std::size_t buffered_bytes(const std::string& buffer) {
  return buffer.empty() ? 0 : buffer.capacity();
}

} // namespace penstock
