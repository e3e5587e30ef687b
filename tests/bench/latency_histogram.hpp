// Counts durations in log-linear buckets, as HdrHistogram does: constant memory, under 1% error.
#pragma once

#include "actors/base/metrics.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

namespace penstock::bench {

/// Durations in nanoseconds, from 0 to max_ns (18 minutes; longer ones count as that). Exact below
/// 128 ns; above, each power of two is split in 128 buckets, so a percentile is at most 0.8% high.
/// Not safe for several threads: one histogram a thread, then merge().
class latency_histogram {
 public:
  static constexpr std::uint64_t max_ns = (std::uint64_t{1} << 40) - 1;

  void record(std::uint64_t ns) {
    ns = std::min(ns, max_ns);
    ++counts_[index_of(ns)];
    ++total_;
    sum_ns_ += ns;
    max_seen_ns_ = std::max(max_seen_ns_, ns);
  }

  void merge(const latency_histogram& other) {
    for (std::size_t i = 0; i < counts_.size(); ++i)
      counts_[i] += other.counts_[i];
    total_ += other.total_;
    sum_ns_ += other.sum_ns_;
    max_seen_ns_ = std::max(max_seen_ns_, other.max_seen_ns_);
  }

  std::uint64_t count() const { return total_; }
  std::uint64_t max() const { return max_seen_ns_; }
  double mean() const { return total_ == 0 ? 0 : double(sum_ns_) / double(total_); }

  /// The duration that `fraction` (0 to 1) of the recorded ones do not exceed; 0 without any.
  std::uint64_t percentile(double fraction) const {
    if (total_ == 0) return 0;
    // The smallest rank that covers the fraction, at least the first.
    auto rank = std::uint64_t(fraction * double(total_));
    if (double(rank) < fraction * double(total_) || rank == 0) ++rank;
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen >= rank) return std::min(highest_in(i), max_seen_ns_);
    }
    return max_seen_ns_;
  }

 private:
  static constexpr unsigned sub_bits = 7;
  static constexpr std::size_t sub_buckets = std::size_t{1} << sub_bits;
  static constexpr std::size_t buckets = (40 - sub_bits + 1) * sub_buckets;

  static std::size_t index_of(std::uint64_t ns) {
    if (ns < sub_buckets) return ns;
    unsigned shift = unsigned(std::bit_width(ns)) - sub_bits - 1;
    return (std::size_t{shift} + 1) * sub_buckets + ((ns >> shift) - sub_buckets);
  }

  static std::uint64_t highest_in(std::size_t index) {
    if (index < sub_buckets) return index;
    unsigned shift = unsigned(index / sub_buckets) - 1;
    std::uint64_t lowest = (index % sub_buckets + sub_buckets) << shift;
    return lowest + (std::uint64_t{1} << shift) - 1;
  }

  std::array<std::uint64_t, buckets> counts_{};
  std::uint64_t total_ = 0;
  std::uint64_t sum_ns_ = 0;
  std::uint64_t max_seen_ns_ = 0;
};

} // namespace penstock::bench
