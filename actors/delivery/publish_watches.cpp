#include "actors/delivery/publish_watches.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>

namespace penstock {

void publish_watches::add(std::uint32_t lane, const wait& what, std::uint64_t confirmed,
                          std::vector<answer>& answers) {
  const bool died_already = std::any_of(dead_.begin(), dead_.end(), [&](std::uint64_t seq) {
    return seq >= what.first_seq && seq <= what.last_seq;
  });
  if (died_already || what.last_seq <= confirmed) {
    answers.push_back({what.front_end, what.token, !died_already});
    return;
  }
  PENSTOCK_ASSERT(lane < lanes_.size());
  if (size_ >= max_watches) forget_one(lane);
  lanes_[lane].emplace(what.last_seq, what);
  ++size_;
}

void publish_watches::forget_one(std::uint32_t lane) {
  auto* from = &lanes_[lane];
  for (auto& other : lanes_)
    if (from->empty()) from = &other;
  if (from->empty()) return;
  PENSTOCK_ASSERT(size_ > 0);
  from->erase(from->begin());
  --size_;
}

void publish_watches::advance(std::uint32_t lane, std::uint64_t confirmed,
                              std::vector<answer>& answers) {
  auto& waits = lanes_[lane];
  while (!waits.empty() && waits.begin()->first <= confirmed) {
    const auto& done = waits.begin()->second;
    answers.push_back({done.front_end, done.token, true});
    PENSTOCK_ASSERT(size_ > 0);
    waits.erase(waits.begin());
    --size_;
  }
}

void publish_watches::died(std::uint32_t lane, std::uint64_t seq, std::vector<answer>& answers) {
  dead_.push_back(seq);
  if (dead_.size() > max_recent_dead) dead_.pop_front();
  auto& waits = lanes_[lane];
  for (auto at = waits.lower_bound(seq); at != waits.end();) {
    if (at->second.first_seq > seq) {
      ++at;
      continue;
    }
    answers.push_back({at->second.front_end, at->second.token, false});
    PENSTOCK_ASSERT(size_ > 0);
    at = waits.erase(at);
    --size_;
  }
}

void publish_watches::forget_expired(std::int64_t now_ms) {
  for (auto& waits : lanes_) {
    const auto gone =
        std::erase_if(waits, [&](const auto& one) { return one.second.expires_ms <= now_ms; });
    PENSTOCK_ASSERT(gone <= size_);
    size_ -= gone;
  }
}

} // namespace penstock
