// The limits that are counted apart in metrics, numbered so that counters can be arrays.
#pragma once

#include <algorithm>
#include <cstddef>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace penstock {

/// The most pairs of plan and limit that metrics tell apart; those that come later share the last.
inline constexpr std::size_t max_counted_limits = 256;

/// Numbers are given once and stay. Any thread; it locks, so nothing on a request's path asks it.
class limit_labels {
 public:
  struct label {
    std::string plan;
    std::string limit;
    bool operator==(const label&) const = default;
  };

  std::size_t slot_of(const std::string& plan, const std::string& limit) {
    const std::lock_guard lock{mutex_};
    const label wanted{plan, limit};
    const auto known = std::ranges::find(labels_, wanted);
    if (known != labels_.end()) return static_cast<std::size_t>(known - labels_.begin());
    if (labels_.size() == max_counted_limits) return max_counted_limits - 1;
    labels_.push_back(labels_.size() + 1 == max_counted_limits ? label{"other", "other"} : wanted);
    return labels_.size() - 1;
  }

  /// By number.
  std::vector<label> all() const {
    const std::lock_guard lock{mutex_};
    return labels_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<label> labels_;
};

} // namespace penstock
