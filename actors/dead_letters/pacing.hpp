// How a job keeps to its rate. Pure: time comes in as an argument.
#pragma once

#include "actors/delivery/delivery_messages.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace penstock {

/// At a rate, chunks are what this much time allows, so that events come evenly.
inline constexpr std::uint32_t paced_chunks_per_s = 10;
/// So much of what a late timer or a slow sink cost is made up for, and no more.
inline constexpr std::int64_t max_pace_debt_us = 200'000;

/// How many events to send at once. `rate`: events per second, 0 for no limit.
constexpr std::size_t paced_chunk(std::uint32_t rate) {
  if (rate == 0) return max_again_events;
  return std::clamp<std::size_t>(rate / paced_chunks_per_s, 1, max_again_events);
}

/// When the next chunk may go, after `events` that were due at `due_us` went at `now_us`.
constexpr std::int64_t next_due_us(std::int64_t due_us, std::int64_t now_us, std::size_t events,
                                   std::uint32_t rate) {
  if (rate == 0) return now_us;
  const auto begun = std::max(due_us, now_us - max_pace_debt_us);
  return begun + static_cast<std::int64_t>(events) * 1'000'000 / rate;
}

} // namespace penstock
