#include "actors/delivery/unstored_dead_letters.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace penstock {

std::vector<dead_letter> unstored_dead_letters::next(std::int64_t now_ms) {
  if (under_way_ > 0 || now_ms < next_ms_) return {};
  under_way_ = std::min(letters_.size(), group_);
  return {letters_.begin(), letters_.begin() + static_cast<std::ptrdiff_t>(under_way_)};
}

std::vector<dead_letter> unstored_dead_letters::kept() {
  PENSTOCK_ASSERT(under_way_ > 0 && under_way_ <= letters_.size());
  const auto end = letters_.begin() + static_cast<std::ptrdiff_t>(std::exchange(under_way_, 0));
  std::vector<dead_letter> out{std::make_move_iterator(letters_.begin()),
                               std::make_move_iterator(end)};
  letters_.erase(letters_.begin(), end);
  group_ = std::min(group_ * 2, max_dead_letters_at_once);
  is_stuck_ = false;
  return out;
}

std::optional<std::string> unstored_dead_letters::failed(const error& why, std::int64_t now_ms) {
  const auto count = std::exchange(under_way_, 0);
  PENSTOCK_ASSERT(count > 0 && count <= letters_.size());
  if (count > 1) {
    group_ = count / 2;
    return std::nullopt;
  }
  group_ = 1;
  next_ms_ = now_ms + dead_letter_retry_interval.count();
  if (why.code == errc::invalid) {
    too_large_.push_back(std::move(letters_.front()));
    letters_.pop_front();
    return why.message;
  }
  // Another may be smaller.
  std::rotate(letters_.begin(), std::next(letters_.begin()), letters_.end());
  return std::exchange(is_stuck_, true) ? std::nullopt : std::optional{why.message};
}

event_volume unstored_dead_letters::waiting_of(const std::string& stream) const {
  event_volume out;
  const auto add = [&](const dead_letter& one) {
    if (one.stream == stream) out += {1, one.body.size() + one.attributes.size()};
  };
  std::ranges::for_each(letters_, add);
  std::ranges::for_each(too_large_, add);
  return out;
}

} // namespace penstock
