// What a sink refused and is not kept yet: how many letters are sent to be kept, and when again.
#pragma once

#include "storage/base/result.hpp"
#include "storage/stores/dead_letter.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

namespace penstock {

/// Dead letters in one message.
inline constexpr std::size_t max_dead_letters_at_once = 256;
/// A dead letter that could not be kept alone is followed by the next try this much later.
inline constexpr std::chrono::milliseconds dead_letter_retry_interval{1000};

/// Pure. One group is under way at a time, and is kept as a whole or not at all. One that was not
/// kept is halved and sent at once, so that as many are kept as there is room for; a letter that
/// was not kept alone goes behind the others, and the next try waits. One that no store of this
/// size holds is put apart: it keeps its event, and holds up no other.
///
///              next()                kept()
///   waiting ───────────► under way ─────────► waiting; the next group may be twice as large
///      ▲                     │ failed()
///      ├─────────────────────┤ of several: half as many, at once
///      └─────────────────────┘ of one: the next one, after dead_letter_retry_interval
///
/// Not synchronised.
class unstored_dead_letters {
 public:
  void add(dead_letter letter) { letters_.push_back(std::move(letter)); }
  /// Nothing is to be sent; what was put apart does not count.
  bool empty() const { return letters_.empty(); }
  /// Letters are not kept, for want of room or for a fault.
  bool is_stuck() const { return is_stuck_; }
  /// What a stream's letters hold that are not kept, also those put apart.
  event_volume waiting_of(const std::string& stream) const;

  /// The group to be sent now; empty while one is under way, none waits, or it is too early.
  std::vector<dead_letter> next(std::int64_t now_ms);
  /// The group is kept: takes it out.
  std::vector<dead_letter> kept();
  /// It is not. Gives what is to be told: the first fault since letters were kept, and that of each
  /// letter that no store of this size holds.
  std::optional<std::string> failed(const error& why, std::int64_t now_ms);

 private:
  std::deque<dead_letter> letters_;
  std::vector<dead_letter> too_large_; // no more than there are events under way
  std::size_t under_way_ = 0;          // the first so many
  std::size_t group_ = max_dead_letters_at_once;
  std::int64_t next_ms_ = 0;
  bool is_stuck_ = false;
};

} // namespace penstock
