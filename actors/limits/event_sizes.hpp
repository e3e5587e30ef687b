// The sizes of each item's events, which a request has one after the other.
#pragma once

#include "actors/limits/limit_messages.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace penstock {

/// To be asked once for each item, in the request's order; see admit_request. The sizes must
/// outlive it.
class event_sizes {
 public:
  explicit event_sizes(const std::vector<std::uint32_t>& all) : left_(all) {}

  /// None: the item has one event, counts no bytes, or its sender told too few sizes.
  std::span<const std::uint32_t> next(const admit_item& item) {
    if (item.events <= 1 || item.bytes == 0 || item.events > left_.size()) return {};
    const auto mine = left_.first(item.events);
    left_ = left_.subspan(item.events);
    return mine;
  }

 private:
  std::span<const std::uint32_t> left_;
};

} // namespace penstock
