#include "actors/replication/replica_keys.hpp"

#include "actors/base/shards.hpp"
#include "actors/idempotency/key_moves.hpp"

#include <limits>
#include <utility>

namespace penstock {

namespace {

/// Whose shard a key is in may change at any time: who has it is told no more of keys that are
/// held.
constexpr std::uint64_t any_epoch = std::numeric_limits<std::uint64_t>::max();

bool is_after(const std::vector<block_key>& before, const block_key& key) {
  return before.empty() || key.first >= before.back().first + before.back().count;
}

} // namespace

std::vector<row_key> keys_of(const std::vector<wire_block>& rows) {
  std::vector<row_key> all;
  for (std::uint32_t i = 0; i < rows.size(); ++i)
    for (const auto& key : rows[i].block->keys)
      all.push_back({i, key});
  return all;
}

result<std::vector<const_block_ptr>> rows_with_keys(const replica_batch& batch) {
  std::vector<const_block_ptr> rows;
  auto next = batch.keys.begin();
  for (std::uint32_t i = 0; i < batch.rows.size(); ++i) {
    const auto& block = batch.rows[i].block;
    if (!block || !is_consistent(*block)) return error{errc::corrupt, "a row contradicts itself"};
    rows.push_back(block);
    if (next == batch.keys.end() || next->row != i) continue;
    auto with_keys = std::make_shared<event_block>(*block);
    with_keys->keys.clear(); // those of a row that never travelled
    for (; next != batch.keys.end() && next->row == i; ++next) {
      const auto& key = next->key;
      const bool fits = key.count > 0 && key.first < block->size() &&
                        key.count <= block->size() - key.first && is_after(with_keys->keys, key);
      if (!fits) return error{errc::corrupt, "a key is not of its row"};
      with_keys->keys.push_back(key);
    }
    rows.back() = std::move(with_keys);
  }
  if (next != batch.keys.end()) return error{errc::corrupt, "a key is of no row"};
  return rows;
}

std::vector<std::vector<key_rows>> told_to_indexes(const std::string& tag,
                                                   const std::vector<const_block_ptr>& rows,
                                                   std::size_t lanes) {
  std::vector<std::vector<key_rows>> all(lanes);
  if (lanes == 0) return all;
  for (const auto& block : rows)
    for (const auto& key : block->keys) {
      auto& to = all[shard_of(key.key.high) % lanes];
      if (to.empty() || to.back().keys.size() >= max_keys_a_piece)
        to.push_back({.epoch = any_epoch,
                      .from = {},
                      .token = 0,
                      .tags = {tag},
                      .keys = {},
                      .complete = {}});
      to.back().keys.push_back({key.key.high, key.key.low, key.content,
                                block->first_seq + key.first, key.count, 0, block->time_ms});
    }
  return all;
}

} // namespace penstock
