#include "storage/journal/segment_catalog.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>

namespace penstock {

std::map<std::string, newest_events> newest_of(const std::vector<segment_info>& segments) {
  std::map<std::string, newest_events> out;
  for (const auto& segment : segments)
    for (const auto& [stream, events] : segment.events)
      if (events > 0) out[stream] = {segment.number, events};
  return out;
}

std::vector<segment_info> segment_catalog::list() const {
  const std::lock_guard lock{mutex_};
  std::vector<segment_info> all;
  all.reserve(segments_.size());
  for (const auto& [number, info] : segments_)
    all.push_back(info);
  return all;
}

segments_at segment_catalog::snapshot() const {
  const std::lock_guard lock{mutex_};
  segments_at out{{}, durable_seq_};
  out.segments.reserve(segments_.size());
  for (const auto& [number, info] : segments_)
    out.segments.push_back(info);
  return out;
}

std::optional<segment_info> segment_catalog::find(std::uint64_t seq) const {
  const std::lock_guard lock{mutex_};
  for (const auto& [number, info] : segments_)
    if (info.first_seq != 0 && info.last_seq >= seq) return info;
  return std::nullopt;
}

std::optional<segment_info> segment_catalog::get(std::uint64_t number) const {
  const std::lock_guard lock{mutex_};
  const auto found = segments_.find(number);
  if (found == segments_.end()) return std::nullopt;
  return found->second;
}

std::uint64_t segment_catalog::durable_seq() const {
  const std::lock_guard lock{mutex_};
  return durable_seq_;
}

std::uint64_t segment_catalog::events_of(const std::string& stream) const {
  const std::lock_guard lock{mutex_};
  std::uint64_t sum = 0;
  for (const auto& [number, info] : segments_)
    if (const auto found = info.events.find(stream); found != info.events.end())
      sum += found->second;
  return sum;
}

std::vector<std::string> segment_catalog::streams() const {
  const std::lock_guard lock{mutex_};
  std::vector<std::string> names;
  for (const auto& [number, info] : segments_)
    for (const auto& [stream, events] : info.events)
      names.push_back(stream);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

std::uint64_t segment_catalog::bytes() const {
  const std::lock_guard lock{mutex_};
  std::uint64_t sum = 0;
  for (const auto& [number, info] : segments_)
    sum += info.bytes;
  return sum;
}

void segment_catalog::put(segment_info info) {
  const std::lock_guard lock{mutex_};
  durable_seq_ = std::max(durable_seq_, info.last_seq);
  const auto number = info.number;
  segments_.insert_or_assign(number, std::move(info));
}

void segment_catalog::extend(std::uint64_t number, const segment_growth& growth) {
  const std::lock_guard lock{mutex_};
  const auto found = segments_.find(number);
  if (found == segments_.end()) return;
  auto& info = found->second;
  if (info.first_seq == 0) {
    info.first_seq = growth.first_seq;
    info.first_time_ms = growth.first_time_ms;
    info.last_time_ms = growth.last_time_ms;
  }
  PENSTOCK_ASSERT(growth.last_seq >= info.last_seq);
  info.last_seq = growth.last_seq;
  info.first_time_ms = std::min(info.first_time_ms, growth.first_time_ms);
  info.last_time_ms = std::max(info.last_time_ms, growth.last_time_ms);
  info.bytes = growth.bytes;
  info.keys += growth.keys;
  for (const auto& [stream, added] : growth.added) {
    info.events[stream] += added.events;
    info.body_bytes[stream] += added.bytes;
    auto& count = appended_[stream];
    if (count.number == 0) count.number = next_number_++;
    count.volume += added;
  }
  durable_seq_ = std::max(durable_seq_, growth.last_seq);
}

appended_count segment_catalog::appended_count_of(const std::string& stream) const {
  return appended_now(stream).appended;
}

appended_at segment_catalog::appended_now(const std::string& stream) const {
  const std::lock_guard lock{mutex_};
  const auto found = appended_.find(stream);
  return {found == appended_.end() ? appended_count{} : found->second, durable_seq_};
}

bool segment_catalog::remove(std::uint64_t number) {
  const std::lock_guard lock{mutex_};
  // What is left before it is counted with what was delivered ahead, and must be counted again.
  if (!segments_.empty() && segments_.begin()->first < number && segments_.contains(number))
    ++moves_;
  const auto gone = segments_.extract(number);
  if (!gone.empty()) forget_absent(gone.mapped().events);
  return pins_.find(number) == pins_.end();
}

// Of the streams of a segment that is gone.
void segment_catalog::forget_absent(const std::map<std::string, std::uint64_t>& streams) {
  for (const auto& [stream, events] : streams) {
    const auto has_it = [&](const auto& other) { return other.second.events.contains(stream); };
    if (std::none_of(segments_.begin(), segments_.end(), has_it)) appended_.erase(stream);
  }
}

bool segment_catalog::begin_move(const std::vector<std::uint64_t>& numbers) {
  std::unique_lock lock{mutex_};
  may_go_on_.wait(lock, [&] {
    return std::ranges::none_of(numbers, [&](auto one) { return opening_.contains(one); });
  });
  const bool all = std::ranges::all_of(numbers, [&](auto one) { return segments_.contains(one); });
  if (all) moving_.insert(numbers.begin(), numbers.end());
  return all;
}

void segment_catalog::end_move(const std::vector<std::uint64_t>& numbers, segment_info moved) {
  {
    const std::lock_guard lock{mutex_};
    std::map<std::string, std::uint64_t> before;
    for (const auto number : numbers) {
      PENSTOCK_ASSERT(moving_.contains(number) && segments_.contains(number));
      before.merge(segments_[number].events);
      segments_.erase(number);
      moving_.erase(number);
    }
    moved.generation = ++moves_;
    segments_.insert_or_assign(numbers.front(), std::move(moved));
    forget_absent(before);
  }
  may_go_on_.notify_all();
}

std::uint64_t segment_catalog::moves() const {
  const std::lock_guard lock{mutex_};
  return moves_;
}

std::optional<segment_info> segment_catalog::pin(std::uint64_t number) {
  std::unique_lock lock{mutex_};
  may_go_on_.wait(lock, [&] { return !moving_.contains(number); });
  const auto found = segments_.find(number);
  if (found == segments_.end()) return std::nullopt;
  ++pins_[number];
  ++opening_[number];
  return found->second;
}

void segment_catalog::end_open(std::uint64_t number) {
  {
    const std::lock_guard lock{mutex_};
    const auto found = opening_.find(number);
    PENSTOCK_ASSERT(found != opening_.end() && found->second > 0);
    if (--found->second == 0) opening_.erase(found);
  }
  may_go_on_.notify_all();
}

void segment_catalog::unpin(std::uint64_t number) {
  const std::lock_guard lock{mutex_};
  const auto found = pins_.find(number);
  PENSTOCK_ASSERT(found != pins_.end() && found->second > 0);
  if (--found->second == 0) pins_.erase(found);
}

} // namespace penstock
