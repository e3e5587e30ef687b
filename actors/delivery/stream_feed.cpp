#include "actors/delivery/stream_feed.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>
#include <charconv>

namespace penstock {

std::string lane_cursor_name(const std::string& sink, std::uint32_t lane, std::uint32_t lanes) {
  return sink + '#' + std::to_string(lane) + '/' + std::to_string(lanes);
}

namespace {

struct lane_name {
  std::uint32_t lane = 0;
  std::uint32_t lanes = 0;
};

/// "bus#0/4" of the sink "bus"; names of sinks have no '#'.
std::optional<lane_name> parse_lane_name(std::string_view text, std::string_view sink) {
  if (!text.starts_with(sink) || text.substr(sink.size()).substr(0, 1) != "#") return std::nullopt;
  lane_name out;
  const auto* end = text.data() + text.size();
  const auto lane = std::from_chars(text.data() + sink.size() + 1, end, out.lane);
  if (lane.ec != std::errc{} || lane.ptr == end || *lane.ptr != '/') return std::nullopt;
  const auto lanes = std::from_chars(lane.ptr + 1, end, out.lanes);
  constexpr std::uint32_t max_lanes = 4096;
  if (lanes.ec != std::errc{} || lanes.ptr != end || out.lanes > max_lanes || out.lane >= out.lanes)
    return std::nullopt;
  return out;
}

} // namespace

// -- what was delivered before --------------------------------------------------------------------

delivered_before::delivered_before(const std::vector<cursor>& saved, const std::string& sink,
                                   const std::string& stream) {
  add(saved, sink, stream);
}

void delivered_before::add(const std::vector<cursor>& saved, const std::string& sink,
                           const std::string& stream) {
  for (const auto& one : saved) {
    if (one.stream != stream) continue;
    const auto name = parse_lane_name(one.sink, sink);
    if (!name) continue;
    auto life = std::find_if(lives_.begin(), lives_.end(),
                             [&](const auto& lanes) { return lanes.size() == name->lanes; });
    if (life == lives_.end()) life = lives_.insert(life, std::vector<lane>(name->lanes));
    auto& to = (*life)[name->lane];
    to.seq = std::max(to.seq, one.seq);
    end_ = std::max(end_, one.seq);
    for (const auto& [first, last] : one.acked_ahead) {
      to.ahead.add(first, last);
      end_ = std::max(end_, last);
    }
    to.seq = to.ahead.advance(to.seq);
  }
  for (const auto& lanes : lives_) {
    const auto least = std::min_element(lanes.begin(), lanes.end(),
                                        [](const lane& a, const lane& b) { return a.seq < b.seq; });
    position_ = std::max(position_, least->seq);
  }
}

bool delivered_before::contains(std::uint64_t seq, std::uint64_t client) const {
  if (seq > end_) return false;
  return std::any_of(lives_.begin(), lives_.end(), [&](const std::vector<lane>& lanes) {
    const auto& its = lanes[client % lanes.size()];
    return seq <= its.seq || its.ahead.contains(seq);
  });
}

bool delivered_before::covers(std::uint64_t first, std::uint64_t last) const {
  return std::ranges::any_of(lives_, [&](const std::vector<lane>& lanes) {
    return std::ranges::all_of(lanes, [&](const lane& its) {
      return last <= its.seq || its.ahead.covers(std::max(first, its.seq + 1), last);
    });
  });
}

const delivered_before::lane* delivered_before::find(std::uint32_t lane_number,
                                                     std::uint32_t lanes) const {
  const auto life = std::find_if(lives_.begin(), lives_.end(),
                                 [&](const auto& one) { return one.size() == lanes; });
  return life == lives_.end() ? nullptr : &(*life)[lane_number];
}

std::uint64_t delivered_before::position_of(std::uint32_t lane_number, std::uint32_t lanes) const {
  const auto* found = find(lane_number, lanes);
  return found ? found->seq : 0;
}

std::vector<seq_ranges::range> delivered_before::ahead_of(std::uint32_t lane_number,
                                                          std::uint32_t lanes) const {
  const auto* found = find(lane_number, lanes);
  return found ? found->ahead.lowest(max_done_ranges_per_lane) : std::vector<seq_ranges::range>{};
}

// -- the feed -------------------------------------------------------------------------------------

stream_feed::stream_feed(std::string stream, delivered_before before, std::uint32_t lanes,
                         const batch_rules& rules, budget_share share)
    : stream_{std::move(stream)}, rules_{rules}, before_{std::move(before)},
      position_{before_.position()}, lanes_(lanes, lane_feed{rules}), share_{std::move(share)} {}

event_volume stream_feed::add(const std::vector<std::shared_ptr<const event_block>>& blocks,
                              std::int64_t now_ms) {
  event_volume out;
  for (const auto& block : blocks) {
    if (block->empty() || block->last_seq() <= position_) continue;
    if (!wants_blocks()) break;
    const auto ref = first_held_ + static_cast<std::uint32_t>(held_.size());
    std::uint32_t open = 0;
    for (std::uint32_t i = 0; i < block->size(); ++i) {
      const auto seq = block->first_seq + i;
      if (seq <= position_) continue;
      const auto client = block->events[i].client;
      if (before_.contains(seq, client)) continue;
      out += {1, block->event_bytes(i)};
      lanes_[lane_of(client)].add({block, i}, ref, now_ms);
      open_bytes_ += block->event_bytes(i);
      ++open;
    }
    position_ = block->last_seq();
    if (open == 0) continue;
    held_.push_back({block->memory_bytes() + open * lane_feed::bytes_per_event, open});
    share_.add(held_.back().memory_bytes);
  }
  return out;
}

void stream_feed::pass_over(std::uint64_t seq) {
  position_ = std::max(position_, seq);
}

void stream_feed::release(const lane_feed::done_event& done) {
  PENSTOCK_ASSERT(done.ref - first_held_ < held_.size());
  auto& held = held_[done.ref - first_held_];
  PENSTOCK_ASSERT(held.open > 0 && open_bytes_ >= done.bytes);
  open_bytes_ -= done.bytes;
  if (--held.open == 0) share_.sub(held.memory_bytes);
}

void stream_feed::drop_released() {
  while (!held_.empty() && held_.front().open == 0) {
    held_.pop_front();
    ++first_held_;
  }
}

lane_feed::settlement stream_feed::settle(std::uint32_t lane, const delivery& outcome,
                                          std::int64_t now_ms, std::uint64_t sink_deliveries,
                                          double random) {
  auto out = lanes_[lane].settle(outcome, now_ms, sink_deliveries, random);
  for (const auto& done : out.delivered)
    release(done);
  drop_released();
  return out;
}

void stream_feed::dead_letter_done(std::uint64_t seq, std::uint64_t client) {
  const auto done = lanes_[lane_of(client)].dead_letter_done(seq);
  if (!done) return;
  release(*done);
  drop_released();
}

bool stream_feed::rewind(const std::string& sink) {
  if (share_.held_bytes() <= max_bytes_) return false;
  for (const auto& lane : lanes_)
    if (!lane.is_at_rest() ||
        lane.done_ahead(max_done_ranges_per_lane + 1).size() > max_done_ranges_per_lane)
      return false;
  before_.add(to_save(sink), sink, stream_);
  position_ = before_.position();
  lanes_.assign(lanes_.size(), lane_feed{rules_});
  held_.clear();
  first_held_ = 0;
  share_.set(0);
  open_bytes_ = 0;
  return true;
}

// What was read and let go of, or read by an earlier life, may be confirmed further than the
// events that are here say.
std::uint64_t stream_feed::confirmed(std::uint32_t lane) const {
  const auto open = lanes_[lane].first_open_seq();
  PENSTOCK_ASSERT(!open || *open > 0); // it was read after some position
  return std::max(open ? *open - 1 : position_, before_.position_of(lane, lanes()));
}

std::uint64_t stream_feed::confirmed() const {
  auto lowest = position_;
  for (std::uint32_t i = 0; i < lanes(); ++i)
    lowest = std::min(lowest, confirmed(i));
  return lowest;
}

std::vector<cursor> stream_feed::to_save(const std::string& sink) const {
  std::vector<cursor> out;
  for (std::uint32_t i = 0; i < lanes(); ++i) {
    seq_ranges ahead;
    for (const auto& [first, last] : lanes_[i].done_ahead(max_done_ranges_per_lane))
      ahead.add(first, last);
    for (const auto& [first, last] : before_.ahead_of(i, lanes()))
      if (last > confirmed(i)) ahead.add(std::max(first, confirmed(i) + 1), last);
    out.push_back({stream_, lane_cursor_name(sink, i, lanes()), confirmed(i),
                   ahead.lowest(max_done_ranges_per_lane)});
  }
  return out;
}

std::uint64_t stream_feed::open_events() const {
  std::uint64_t sum = 0;
  for (const auto& lane : lanes_)
    sum += lane.open();
  return sum;
}

std::optional<std::int64_t> stream_feed::oldest_time_ms() const {
  std::optional<std::int64_t> oldest;
  for (const auto& lane : lanes_)
    if (const auto time = lane.oldest_time_ms(); time && (!oldest || *time < *oldest))
      oldest = time;
  return oldest;
}

} // namespace penstock
