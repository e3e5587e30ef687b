// A small random generator for property tests; print its seed with INFO so that a failure repeats.
#pragma once

#include <cstdint>

namespace penstock {

/// SplitMix64 (Steele, Lea, Flood 2014).
class test_random {
 public:
  explicit test_random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  /// From `low` to `high`, both included.
  std::int64_t between(std::int64_t low, std::int64_t high) {
    const auto range = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low) + 1;
    const std::uint64_t drawn = range == 0 ? next() : next() % range;
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(low) + drawn);
  }

  bool one_in(std::int64_t n) { return between(1, n) == 1; }

 private:
  std::uint64_t state_;
};

} // namespace penstock
