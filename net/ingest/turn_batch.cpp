#include "net/ingest/turn_batch.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>
#include <utility>

namespace penstock {

namespace {

// Of one half's requests, those events of a block that are theirs.
std::vector<std::vector<bool>> events_of(const turn_batch& batch, const std::vector<bool>& taken,
                                         bool which) {
  std::vector<std::vector<bool>> keep(batch.blocks.size());
  for (std::size_t b = 0; b < batch.blocks.size(); ++b)
    keep[b].assign(batch.blocks[b]->size(), false);
  for (std::size_t i = 0; i < batch.requests.size(); ++i) {
    const auto& r = batch.requests[i];
    if (taken[i] != which) continue;
    for (std::uint32_t event = 0; event < r.count; ++event)
      keep[r.block][r.first + event] = true;
  }
  return keep;
}

void keep_events(turn_batch& batch, const std::vector<std::vector<bool>>& keep) {
  for (std::size_t b = 0; b < batch.blocks.size(); ++b)
    if (std::ranges::find(keep[b], true) == keep[b].end())
      batch.blocks[b]->clear();
    else
      batch.blocks[b]->keep_only(keep[b]);
  std::vector<std::uint32_t> kept(batch.blocks.size(), 0);
  for (auto& r : batch.requests) {
    if (r.count == 0) continue;
    r.first = std::exchange(kept[r.block], kept[r.block] + r.count);
  }
}

std::size_t body_bytes(const turn_batch& batch) {
  std::size_t sum = 0;
  for (const auto& block : batch.blocks)
    sum += block->bodies.size();
  return sum;
}

} // namespace

void move_requests(turn_batch& from, const std::vector<bool>& taken, turn_batch& to) {
  PENSTOCK_ASSERT(taken.size() == from.requests.size() && from.claim_token == 0);
  to.plans = from.plans;
  to.limited = from.limited;
  to.published = from.published;
  for (const auto& block : from.blocks)
    to.blocks.push_back(std::make_shared<event_block>(*block));
  const auto theirs = events_of(from, taken, true);
  const auto ours = events_of(from, taken, false);
  usage_notes usage;
  std::size_t left = 0;
  for (std::size_t i = 0; i < from.requests.size(); ++i) {
    auto& r = from.requests[i];
    if (!from.usage.empty()) (taken[i] ? to.usage : usage).add(from.usage[i]);
    if (taken[i]) {
      to.items.push_back(from.items[i]);
      auto& moved = to.requests.emplace_back(r);
      if (r.details == waiting_request::no_details) continue;
      moved.details = static_cast<std::uint32_t>(to.details.size());
      to.details.push_back(std::move(from.details[r.details]));
    } else {
      from.items[left] = from.items[i];
      from.requests[left++] = r;
    }
  }
  from.requests.resize(left);
  from.items.resize(left);
  from.usage = std::move(usage);
  keep_events(to, theirs);
  keep_events(from, ours);
  to.memory_bytes = std::min(body_bytes(to), from.memory_bytes);
  from.memory_bytes -= to.memory_bytes;
}

} // namespace penstock
