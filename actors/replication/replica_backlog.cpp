#include "actors/replication/replica_backlog.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace penstock {

namespace {

/// The last number that an event of each stream may have.
std::map<std::string, std::uint64_t> last_of_streams(const std::vector<segment_info>& segments) {
  std::map<std::string, std::uint64_t> last;
  for (const auto& segment : segments)
    for (const auto& [stream, events] : segment.events) {
      auto& seq = last[stream];
      seq = std::max(seq, segment.last_seq);
    }
  return last;
}

/// Of a stream that is not told nothing is owed up to as_of_seq, so that ends before the first one
/// left out.
void cut_streams(replica_news& update) {
  auto& all = update.delivered;
  if (all.size() <= max_told_streams) return;
  std::ranges::sort(all, {}, &delivered_stream::floor);
  update.as_of_seq = std::min(update.as_of_seq, all[max_told_streams].floor);
  all.resize(max_told_streams);
  std::ranges::sort(all, {}, &delivered_stream::stream);
}

void cut_ranges(replica_news& update) {
  auto left = max_told_ranges;
  for (auto& one : update.delivered) {
    if (one.beyond.size() > left) one.beyond.resize(left);
    left -= one.beyond.size();
  }
}

bool is_sound(const delivered_stream& one) {
  if (one.stream.empty() || one.stream.size() > max_told_name_bytes) return false;
  if (one.beyond.size() > max_told_ranges_per_stream) return false;
  auto end = one.floor;
  for (const auto& [first, last] : one.beyond) {
    if (first <= end || last < first) return false;
    end = last;
  }
  return true;
}

bool is_sound(const replica_news& update) {
  const auto& all = update.delivered;
  if (all.size() > max_told_streams) return false;
  std::size_t ranges = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!is_sound(all[i]) || (i > 0 && all[i - 1].stream >= all[i].stream)) return false;
    ranges += all[i].beyond.size();
  }
  return ranges <= max_told_ranges;
}

} // namespace

std::uint64_t count_at_most(const std::vector<segment_info>& segments,
                            const std::function<bool(const std::string& stream)>& wanted,
                            std::uint64_t seq) {
  std::uint64_t sum = 0;
  for (const auto& segment : segments) {
    if (segment.last_seq <= seq) continue;
    std::uint64_t here = 0;
    for (const auto& [stream, events] : segment.events)
      if (wanted(stream)) here += events;
    sum += std::min(here, segment.last_seq - seq);
  }
  return sum;
}

void tell_delivered(replica_news& update, const segments_at& there, const backlog_book& book) {
  auto told = update;
  told.version = delivered_wire_version;
  told.as_of_seq = there.durable_seq;
  for (const auto& [stream, last] : last_of_streams(there.segments)) {
    auto [floor, beyond] = book.delivered(stream);
    if (floor < last) told.delivered.push_back({stream, floor, std::move(beyond)});
  }
  cut_streams(told);
  cut_ranges(told);
  if (is_sound(told)) update = std::move(told);
}

// -- the holder's ---------------------------------------------------------------------------------

std::shared_ptr<const told_backlog> told_backlog::make(const replica_news& update) {
  if (update.version < delivered_wire_version || !is_sound(update)) return nullptr;
  return std::shared_ptr<const told_backlog>{new told_backlog{update}};
}

told_backlog::told_backlog(const replica_news& update)
    : streams_(update.delivered), all_others_{{}, update.as_of_seq, {}} {}

void told_backlog::tell(replica_news& to) const {
  to.as_of_seq = all_others_.floor;
  to.delivered = streams_;
}

const delivered_stream& told_backlog::delivered(const std::string& stream) const {
  const auto at = std::ranges::lower_bound(streams_, stream, {}, &delivered_stream::stream);
  return at != streams_.end() && at->stream == stream ? *at : all_others_;
}

backlog_events::portion told_backlog::between(const std::string& stream, std::uint64_t first,
                                              std::uint64_t last) const {
  const auto& its = delivered(stream);
  const auto end = its.beyond.empty() ? its.floor : its.beyond.back().second;
  if (end < first) return portion::all;
  if (last <= its.floor) return portion::none;
  const auto from = std::max(first, its.floor + 1);
  const auto holds = [&](const auto& range) { return range.first <= from && last <= range.second; };
  return std::ranges::any_of(its.beyond, holds) ? portion::none : portion::some;
}

bool told_backlog::is_in_backlog(const std::string& stream, std::uint64_t seq,
                                 std::uint64_t) const {
  const auto& its = delivered(stream);
  if (seq <= its.floor) return false;
  const auto after = std::ranges::upper_bound(its.beyond, seq, {}, &seq_ranges::range::first);
  return after == its.beyond.begin() || std::prev(after)->second < seq;
}

} // namespace penstock
