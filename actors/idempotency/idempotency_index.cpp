#include "actors/idempotency/idempotency_index.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>
#include <limits>

namespace penstock {

namespace {

constexpr std::size_t visits_per_call = 8;
// Positions are 32 bits, and those in use must not meet.
constexpr std::size_t most_keys = 1u << 31;

} // namespace

idempotency_index::idempotency_index(std::size_t capacity, std::int64_t window_ms)
    : max_keys_(std::clamp<std::size_t>(capacity, 1, most_keys)), window_ms_(window_ms),
      by_key_(0, hash{this}, equal{this}) {
  // Growing would hash all keys again, between two requests.
  by_key_.reserve(max_keys_);
}

bool idempotency_index::is_over(const entry& e, std::int64_t now_ms) const {
  return std::int64_t{e.time_s} * 1000 + window_ms_ <= now_ms;
}

void idempotency_index::forget_oldest() {
  PENSTOCK_ASSERT(!entries_.empty());
  // One that was replaced has its key's place no longer.
  auto known = by_key_.find(entries_.front().key);
  if (known != by_key_.end() && *known == first_) by_key_.erase(known);
  entries_.pop_front();
  ++first_;
}

void idempotency_index::expire(std::int64_t now_ms, std::size_t max_visits) {
  while (max_visits-- > 0 && !entries_.empty() && is_over(entries_.front(), now_ms))
    forget_oldest();
}

void idempotency_index::insert(const idempotency_record& record, std::int64_t now_ms) {
  expire(now_ms, visits_per_call);
  add(record, 0);
}

void idempotency_index::restore(const idempotency_record& record, std::int64_t now_ms) {
  const auto known = by_key_.find(record.key);
  const auto is_same = [&](const entry& e) { return e.journal == 0 && e.seq == record.seq; };
  if (known == by_key_.end() || !is_same(at(*known))) insert(record, now_ms);
}

void idempotency_index::take_in(const idempotency_record& record, std::string_view tag,
                                std::int64_t now_ms) {
  expire(now_ms, visits_per_call);
  if (record.time_ms + window_ms_ <= now_ms || by_key_.contains(record.key)) return;
  auto journal = std::ranges::find(journals_, tag);
  if (journal == journals_.end()) {
    if (journals_.size() > max_other_journals) return;
    journal = journals_.emplace(journal, tag);
  }
  add(record, static_cast<std::uint16_t>(journal - journals_.begin()));
}

void idempotency_index::add(const idempotency_record& record, std::uint16_t journal) {
  if (entries_.size() >= max_keys_) forget_oldest();
  if (auto known = by_key_.find(record.key); known != by_key_.end()) by_key_.erase(known);
  auto position = static_cast<std::uint32_t>(first_ + entries_.size());
  constexpr auto max_count = std::numeric_limits<std::uint16_t>::max();
  entries_.push_back({record.key, record.content, record.seq,
                      static_cast<std::uint32_t>(record.time_ms / 1000 + 1),
                      static_cast<std::uint16_t>(std::min<std::uint32_t>(record.count, max_count)),
                      journal});
  by_key_.insert(position);
}

bool idempotency_index::visit(
    std::uint32_t& position, std::size_t max_visits,
    const std::function<void(const idempotency_record&, std::string_view tag)>& see) const {
  if (static_cast<std::int32_t>(position - first_) < 0) position = first_;
  const auto end = static_cast<std::uint32_t>(first_ + entries_.size());
  for (; position != end && max_visits > 0; ++position, --max_visits) {
    const entry& e = at(position);
    const auto known = by_key_.find(e.key);
    if (known == by_key_.end() || *known != position) continue; // it was replaced
    see({e.key, e.content, e.seq, e.count, (std::int64_t{e.time_s} - 1) * 1000},
        journals_[e.journal]);
  }
  return position == end;
}

std::optional<idempotency_index::found> idempotency_index::find(const idempotency_key& key,
                                                                std::int64_t now_ms) {
  expire(now_ms, visits_per_call);
  auto known = by_key_.find(key);
  if (known == by_key_.end()) return std::nullopt;
  const auto& e = at(*known);
  if (is_over(e, now_ms)) return std::nullopt;
  return found{e.content, e.seq, e.count, journals_[e.journal]};
}

std::size_t idempotency_index::memory_bytes() const {
  // A deque keeps its elements in pieces of 512 bytes; a flat set groups 15 under 16 bytes of
  // metadata. (Neither has a function that tells.)
  constexpr std::size_t piece_bytes = 512;
  constexpr std::size_t per_piece = piece_bytes / sizeof(entry);
  constexpr std::size_t piece_cost = piece_bytes + 3 * sizeof(void*);
  constexpr std::size_t group_elements = 15;
  constexpr std::size_t group_bytes = 16;
  return sizeof *this + (entries_.size() / per_piece + 1) * piece_cost +
         by_key_.bucket_count() * sizeof(std::uint32_t) +
         (by_key_.bucket_count() / group_elements + 1) * group_bytes;
}

} // namespace penstock
