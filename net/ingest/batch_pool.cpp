#include "net/ingest/batch_pool.hpp"

#include "storage/base/assert.hpp"

#include <utility>

namespace penstock {

namespace {

// Whether nobody else holds the block, and whatever others did with it is done. use_count() is a
// relaxed load, so it orders nothing; to give up a reference is an acquire, as the other's was a
// release. A fence would do as well, but the thread sanitizer does not understand it.
bool is_ours_alone(const block_ptr& block) {
  if (block.use_count() != 1) return false;
  [[maybe_unused]] const auto given_up_at_return = block;
  return true;
}

} // namespace

std::unique_ptr<turn_batch> batch_pool::new_batch(std::uint16_t to) {
  std::unique_ptr<turn_batch> batch;
  if (spare_batches_.empty()) {
    batch = std::make_unique<turn_batch>();
  } else {
    batch = std::move(spare_batches_.back());
    spare_batches_.pop_back();
  }
  batch->destination = to;
  batch->plans = rules_.plans_under_way();
  return batch;
}

std::uint32_t batch_pool::block_for(turn_batch& batch, std::string_view stream, std::size_t events,
                                    std::size_t bytes) {
  for (auto i = batch.blocks.size(); i-- > 0;) {
    const auto& b = *batch.blocks[i];
    if (b.stream != stream) continue;
    if (b.size() + events <= max_events_per_block && b.bodies.size() + bytes <= max_block_bytes)
      return static_cast<std::uint32_t>(i);
    break; // an earlier block of the stream must not get later events
  }
  block_ptr block;
  if (spare_blocks_.empty()) {
    block = std::make_shared<event_block>();
  } else {
    block = std::move(spare_blocks_.back());
    spare_blocks_.pop_back();
  }
  block->stream.assign(stream);
  block->time_ms = lane_.wall_time_ms();
  batch.blocks.push_back(std::move(block));
  return static_cast<std::uint32_t>(batch.blocks.size() - 1);
}

void batch_pool::note_in_flight(turn_batch& batch, std::size_t bytes) {
  batch.memory_bytes += bytes;
  lane_.memory.change(memory_part::requests, 0, bytes);
  lane_.show_in_flight();
}

void batch_pool::release(std::unique_ptr<turn_batch> batch) {
  PENSTOCK_ASSERT(batch->memory_bytes <= lane_.memory.of(memory_part::requests));
  lane_.memory.change(memory_part::requests, batch->memory_bytes, 0);
  lane_.show_in_flight();
  for (auto& block : batch->blocks) {
    if (spare_blocks_.size() < max_spares && is_ours_alone(block) &&
        block->memory_bytes() <= max_spare_block_bytes) {
      block->clear();
      spare_blocks_.push_back(std::move(block));
    }
  }
  batch->blocks.clear();
  batch->items.clear();
  batch->sizes.clear();
  batch->plans = nullptr;
  batch->limited = false;
  batch->published = false;
  batch->requests.clear();
  batch->details.clear();
  batch->usage.clear();
  batch->memory_bytes = 0;
  batch->claim_token = 0;
  if (spare_batches_.size() < max_spares) spare_batches_.push_back(std::move(batch));
}

} // namespace penstock
