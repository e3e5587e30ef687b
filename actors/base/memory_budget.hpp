// Memory that many hold together: a bound on the sum, with room for everybody.
#pragma once

#include "storage/base/assert.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace penstock {

/// Counts what all holders of one kind of memory have together. Any thread; it never waits.
class memory_budget {
 public:
  explicit memory_budget(std::uint64_t bound_bytes) : bound_{bound_bytes} {}

  std::uint64_t bound_bytes() const { return bound_; }
  std::uint64_t used_bytes() const { return used_.load(std::memory_order_relaxed); }
  std::uint64_t free_bytes() const { return bound_ - std::min(bound_, used_bytes()); }

  void add(std::uint64_t bytes) { used_.fetch_add(bytes, std::memory_order_relaxed); }
  void sub(std::uint64_t bytes) {
    const auto before = used_.fetch_sub(bytes, std::memory_order_relaxed);
    PENSTOCK_ASSERT(before >= bytes);
  }

 private:
  const std::uint64_t bound_;
  std::atomic<std::uint64_t> used_{0};
};

/// What one holder has of a budget; given back at its end. A holder may grow while it has less than
/// is still free ("dynamic thresholds", Choudhury and Hahne, 1998): one alone gets half of the
/// budget, two a third each, and whoever comes later finds room, however long the others hold
/// theirs. One that has nothing may always take one piece, so that nobody waits for somebody else.
/// Without a budget all is allowed. Not synchronised.
class budget_share {
 public:
  budget_share() = default;
  explicit budget_share(std::shared_ptr<memory_budget> of) : of_{std::move(of)} {}
  budget_share(budget_share&& from) noexcept
      : of_{std::move(from.of_)}, held_{std::exchange(from.held_, 0)} {}
  budget_share& operator=(budget_share&& from) noexcept {
    std::swap(of_, from.of_);
    std::swap(held_, from.held_);
    return *this;
  }
  ~budget_share() { sub(held_); }

  std::uint64_t held_bytes() const { return held_; }
  /// Whether one piece more may be taken.
  bool may_grow() const { return !of_ || held_ == 0 || held_ < of_->free_bytes(); }
  /// How much the next piece should have at most, of the `most` that is wanted: what is free to
  /// this holder, but a piece of `least` always.
  std::size_t room(std::size_t most, std::size_t least) const {
    if (!of_) return most;
    const auto free = of_->free_bytes();
    const auto mine = (free - std::min(free, held_)) / 2;
    return static_cast<std::size_t>(std::clamp<std::uint64_t>(mine, std::min(least, most), most));
  }

  void add(std::uint64_t bytes) {
    held_ += bytes;
    if (of_) of_->add(bytes);
  }
  void sub(std::uint64_t bytes) {
    PENSTOCK_ASSERT(held_ >= bytes);
    held_ -= bytes;
    if (of_) of_->sub(bytes);
  }
  void set(std::uint64_t bytes) {
    if (bytes >= held_)
      add(bytes - held_);
    else
      sub(held_ - bytes);
  }

 private:
  std::shared_ptr<memory_budget> of_;
  std::uint64_t held_ = 0;
};

} // namespace penstock
