// The turn batches and blocks of one front end: new ones, used ones for use again, and what they
// hold.
#pragma once

#include "net/ingest/lane_context.hpp"
#include "net/ingest/served_rules.hpp"
#include "net/ingest/turn_batch.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace penstock {

/// Keeps at most max_spares batches and as many blocks, none of these with more than
/// max_spare_block_bytes. Not synchronised.
class batch_pool {
 public:
  /// A block of a turn is closed when its bodies reach this size, so that one row stays moderate.
  static constexpr std::size_t max_block_bytes = 8 << 20;
  static constexpr std::size_t max_spares = 64;
  static constexpr std::size_t max_spare_block_bytes = 256 << 10;

  /// Both outlive it.
  batch_pool(lane_context& lane, const served_rules& rules) : lane_(lane), rules_(rules) {}

  /// An empty batch with the plans in force. `to`: its destination, see limiter_client.
  std::unique_ptr<turn_batch> new_batch(std::uint16_t to);
  /// The index of the batch's block of this stream that has room for so much, or of a new one.
  std::uint32_t block_for(turn_batch& batch, std::string_view stream, std::size_t events,
                          std::size_t bytes);
  /// The batch holds so many bytes more; release() gives them back.
  void note_in_flight(turn_batch& batch, std::size_t bytes);
  /// Keeps the batch and its blocks for the next turns, if nobody else holds on to them.
  void release(std::unique_ptr<turn_batch> batch);

 private:
  lane_context& lane_;
  const served_rules& rules_;
  std::vector<std::unique_ptr<turn_batch>> spare_batches_;
  std::vector<block_ptr> spare_blocks_;
};

} // namespace penstock
