#include "net/ingest/publish_waits.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>

namespace penstock {

std::size_t publish_wait::memory_bytes() const {
  auto bytes = sizeof(publish_wait) + details.bad.memory_bytes();
  if (details.claims)
    bytes += sizeof(request_claims) + details.claims->all.capacity() * sizeof(event_claim);
  return bytes;
}

void publish_waits::add(std::uint64_t token, std::unique_ptr<publish_wait> wait) {
  wait->deadline_ns = std::min(wait->deadline_ns, latest_ns_);
  bytes_ += wait->memory_bytes();
  deadlines_.emplace(wait->deadline_ns, token);
  waits_.emplace(token, std::move(wait));
}

publish_wait* publish_waits::find(std::uint64_t token) {
  const auto found = waits_.find(token);
  return found == waits_.end() ? nullptr : found->second.get();
}

std::unique_ptr<publish_wait> publish_waits::take(std::uint64_t token) {
  const auto found = waits_.find(token);
  if (found == waits_.end()) return nullptr;
  auto wait = std::move(found->second);
  waits_.erase(found);
  deadlines_.erase({wait->deadline_ns, token});
  PENSTOCK_ASSERT(bytes_ >= wait->memory_bytes());
  bytes_ -= wait->memory_bytes();
  return wait;
}

std::unique_ptr<publish_wait> publish_waits::take_due(std::int64_t now_ns) {
  if (deadlines_.empty() || deadlines_.begin()->first > now_ns) return nullptr;
  return take(deadlines_.begin()->second);
}

void publish_waits::end_by(std::int64_t latest_ns) {
  latest_ns_ = latest_ns;
  while (!deadlines_.empty() && deadlines_.rbegin()->first > latest_ns) {
    const auto token = deadlines_.rbegin()->second;
    deadlines_.erase(std::prev(deadlines_.end()));
    waits_[token]->deadline_ns = latest_ns;
    deadlines_.emplace(latest_ns, token);
  }
}

} // namespace penstock
