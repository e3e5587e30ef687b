// Durable rows that are still to be sent to a holder of replicas.
#pragma once

#include "storage/base/assert.hpp"
#include "storage/events/event_block.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <utility>

namespace penstock {

/// In the order of numbers. Whoever adds bounds it by bytes(). Not synchronised.
class pending_rows {
 public:
  using row = std::shared_ptr<const event_block>;

  bool is_empty() const { return rows_.empty(); }
  /// Of the bodies.
  std::size_t bytes() const { return bytes_; }
  std::uint64_t events() const { return events_; }
  /// The next; there is one.
  const row& front() const { return rows_.front(); }

  void add(row what) {
    bytes_ += what->bodies.size();
    events_ += what->size();
    rows_.push_back(std::move(what));
  }
  /// There is one.
  row take() {
    row out = std::move(rows_.front());
    rows_.pop_front();
    PENSTOCK_ASSERT(bytes_ >= out->bodies.size());
    PENSTOCK_ASSERT(events_ >= out->size());
    bytes_ -= out->bodies.size();
    events_ -= out->size();
    return out;
  }
  void clear() {
    rows_.clear();
    bytes_ = 0;
    events_ = 0;
  }

 private:
  std::deque<row> rows_;
  std::size_t bytes_ = 0;
  std::uint64_t events_ = 0;
};

} // namespace penstock
