// The newest durable blocks, kept in memory so that a publisher that keeps up reads no disk.
#pragma once

#include "actors/journal/journal_messages.hpp"

#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

namespace penstock {

/// Bounded by bytes; the oldest go first. Not synchronised.
class recent_blocks {
 public:
  /// The most bodies that one read gives, unless a single block is larger.
  static constexpr std::size_t max_read_bytes = 4 << 20;

  /// `durable_seq`: what was durable before; blocks added later lie past it.
  recent_blocks(std::size_t max_bytes, std::uint64_t durable_seq)
      : max_bytes_(max_bytes), reaches_back_to_(durable_seq) {}

  void add(const_block_ptr block);

  /// Whether every durable event after `after_seq` that was added is still here.
  bool covers(std::uint64_t after_seq) const { return after_seq >= reaches_back_to_; }
  /// Blocks of the stream that hold events after `after_seq`, in order.
  std::vector<const_block_ptr> read(const std::string& stream, std::uint64_t after_seq) const;

  std::size_t bytes() const { return bytes_; }

 private:
  void drop_oldest();

  std::size_t max_bytes_;
  std::size_t bytes_ = 0;
  std::uint64_t reaches_back_to_;
  std::deque<const_block_ptr> order_;
  std::unordered_map<std::string, std::deque<const_block_ptr>> by_stream_;
};

} // namespace penstock
