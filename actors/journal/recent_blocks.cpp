#include "actors/journal/recent_blocks.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>

namespace penstock {

void recent_blocks::add(const_block_ptr block) {
  PENSTOCK_ASSERT(order_.empty() || order_.back()->last_seq() < block->first_seq);
  bytes_ += block->memory_bytes();
  by_stream_[block->stream].push_back(block);
  order_.push_back(std::move(block));
  while (bytes_ > max_bytes_ && !order_.empty())
    drop_oldest();
}

void recent_blocks::drop_oldest() {
  auto oldest = std::move(order_.front());
  order_.pop_front();
  const auto bytes = oldest->memory_bytes();
  PENSTOCK_ASSERT(bytes_ >= bytes && oldest->last_seq() > reaches_back_to_);
  bytes_ -= bytes;
  reaches_back_to_ = oldest->last_seq();
  auto stream = by_stream_.find(oldest->stream);
  PENSTOCK_ASSERT(stream != by_stream_.end() && stream->second.front() == oldest);
  stream->second.pop_front();
  if (stream->second.empty()) by_stream_.erase(stream);
}

std::vector<const_block_ptr> recent_blocks::read(const std::string& stream,
                                                 std::uint64_t after_seq) const {
  std::vector<const_block_ptr> result;
  auto found = by_stream_.find(stream);
  if (found == by_stream_.end()) return result;
  const auto& blocks = found->second;
  auto at = std::partition_point(blocks.begin(), blocks.end(), [&](const const_block_ptr& b) {
    return b->last_seq() <= after_seq;
  });
  std::size_t bytes = 0;
  for (; at != blocks.end(); ++at) {
    bytes += (*at)->bodies.size();
    if (bytes > max_read_bytes && !result.empty()) break;
    result.push_back(*at);
  }
  return result;
}

} // namespace penstock
