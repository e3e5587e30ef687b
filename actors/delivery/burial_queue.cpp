#include "actors/delivery/burial_queue.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace penstock {

std::vector<dead_letter> burial_queue::next(std::int64_t now_ms) {
  if (under_way_ > 0 || now_ms < next_ms_) return {};
  under_way_ = std::min(letters_.size(), group_);
  return {letters_.begin(), letters_.begin() + static_cast<std::ptrdiff_t>(under_way_)};
}

std::vector<dead_letter> burial_queue::kept() {
  const auto end = letters_.begin() + static_cast<std::ptrdiff_t>(std::exchange(under_way_, 0));
  std::vector<dead_letter> out{std::make_move_iterator(letters_.begin()),
                               std::make_move_iterator(end)};
  letters_.erase(letters_.begin(), end);
  group_ = std::min(group_ * 2, max_buried_at_once);
  is_stuck_ = false;
  if (letters_.empty()) told_too_large_ = false;
  return out;
}

std::optional<std::string> burial_queue::failed(const error& why, std::int64_t now_ms) {
  const auto count = std::exchange(under_way_, 0);
  if (count > 1) {
    group_ = count / 2;
    return std::nullopt;
  }
  group_ = 1;
  next_ms_ = now_ms + burial_retry_interval.count();
  // Another may be smaller.
  std::rotate(letters_.begin(), std::next(letters_.begin()), letters_.end());
  const bool was_stuck = std::exchange(is_stuck_, true);
  if (why.code == errc::invalid) {
    if (std::exchange(told_too_large_, true)) return std::nullopt;
    return why.message;
  }
  return was_stuck ? std::nullopt : std::optional{why.message};
}

} // namespace penstock
