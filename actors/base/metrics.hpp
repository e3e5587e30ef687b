// Counters, gauges and histograms: what components count with, read by the metrics page.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace penstock {

/// A number that only grows. One thread at a time adds; any thread reads. Having one writer, it
/// needs no locked instruction.
class counter {
 public:
  void add(std::uint64_t n = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// A number that goes up and down. One thread at a time writes; any thread reads.
class gauge {
 public:
  void set(std::int64_t value) { value_.store(value, std::memory_order_relaxed); }
  void add(std::int64_t n) { set(value() + n); }
  std::int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> value_{0};
};

/// Counts values by size. `Bounds` are the buckets' inclusive upper bounds, ascending; a last
/// bucket takes what lies above. One thread at a time observes; any thread reads.
template <auto Bounds>
class histogram {
 public:
  static constexpr auto bounds = Bounds;

  void observe(std::uint64_t value) {
    const auto at = std::lower_bound(bounds.begin(), bounds.end(), value) - bounds.begin();
    buckets_[static_cast<std::size_t>(at)].add();
    sum_.add(value);
  }
  /// Observations in bucket `i` alone, not cumulated; i <= bounds.size().
  std::uint64_t bucket(std::size_t i) const { return buckets_[i].value(); }
  std::uint64_t sum() const { return sum_.value(); }

 private:
  std::array<counter, Bounds.size() + 1> buckets_;
  counter sum_;
};

/// Microseconds, from a refusal on loopback to a disk in trouble.
inline constexpr std::array<std::uint64_t, 16> latency_bounds_us{
    50,     100,    200,     500,     1'000,   2'000,     5'000,     10'000,
    20'000, 50'000, 100'000, 200'000, 500'000, 1'000'000, 2'000'000, 5'000'000};
inline constexpr std::array<std::uint64_t, 14> group_size_bounds{
    1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1'024, 4'096, 16'384, 65'536};
using latency_histogram = histogram<latency_bounds_us>;
using group_size_histogram = histogram<group_size_bounds>;

} // namespace penstock
