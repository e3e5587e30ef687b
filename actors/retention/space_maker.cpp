#include "actors/retention/space_maker.hpp"

#include <algorithm>
#include <utility>

namespace penstock {

space_rules space_maker::rules() const {
  return {parts_.catalog->bytes(), parts_.max_bytes, parts_.segment_max_bytes,
          parts_.pass_max_bytes};
}

bool space_maker::is_short() const {
  return parts_.catalog->bytes() >= parts_.max_bytes / 2;
}

// A small journal fills in less than the usual interval.
bool space_maker::has_grown() const {
  return parts_.catalog->bytes() >= left_bytes_ + parts_.max_bytes / urgent_growth;
}

bool space_maker::is_due(std::int64_t now_ms) const {
  if (!parts_.backlog) return false;
  if (!has_passed_) return true;
  const bool is_urgent = is_short() || has_grown();
  const auto rest_ms = is_urgent ? took_ms_ * rest_when_urgent
                                 : std::max(took_ms_ * rest_after_pass, pass_interval_ms);
  return now_ms - ended_ms_ >= rest_ms;
}

space_maker::outcome space_maker::make_room(std::int64_t before_ms,
                                            const std::function<std::int64_t()>& clock) {
  outcome out;
  const auto began_ms = clock();
  if (!is_due(began_ms)) return out;
  pass(before_ms, began_ms, out);
  ended_ms_ = clock();
  left_bytes_ = parts_.catalog->bytes();
  took_ms_ = ended_ms_ - began_ms;
  has_passed_ = true;
  return out;
}

void space_maker::pass(std::int64_t before_ms, std::int64_t now_ms, outcome& out) {
  measured_ = 0;
  measured_bytes_ = 0;
  const auto segments = parts_.catalog->list();
  if (std::ranges::none_of(segments, [](auto& one) { return one.sealed || one.damaged; })) return;
  const auto known = parts_.backlog();
  if (!known) out.done = known.error();
  if (!known || !*known) return;
  const auto& backlog = **known;
  std::vector<segment_share> shares;
  std::vector<segment_info> going;
  for (const auto& segment : segments) {
    auto share = share_of(segment, backlog, now_ms, out);
    const bool is_free = may_go(segment, before_ms);
    share.may_move = is_free && !segment.damaged;
    if (!is_free || !share.is_measured || share.backlog_bytes > 0) {
      shares.push_back(share);
      continue;
    }
    going.push_back(segment);
  }
  if (!going.empty()) {
    auto retired = parts_.segments->retire_these(going);
    if (retired)
      out.retired = *retired;
    else
      out.done = retired.error();
  }
  std::erase_if(measures_, [&](const auto& one) {
    return std::ranges::none_of(shares, [&](auto& share) { return share.number == one.first; });
  });
  auto moves = plan_moves(shares, rules());
  if (moves.size() > max_moves) moves.resize(max_moves);
  for (const auto& numbers : moves)
    move(numbers, backlog, out);
}

bool space_maker::may_go(const segment_info& segment, std::int64_t before_ms) const {
  if (!segment.sealed && !segment.damaged) return false;
  if (parts_.keeps_last && segment.last_seq >= parts_.catalog->durable_seq()) return false;
  return segment.last_time_ms < before_ms;
}

bool space_maker::may_measure(const segment_info& segment) const {
  if (measured_ == 0) return true;
  return measured_ < max_measures && measured_bytes_ + segment.bytes <= parts_.pass_max_bytes;
}

// Most segments need no reading: all is owed of the streams in them, or nothing.
segment_share space_maker::share_of(const segment_info& segment, const backlog_events& backlog,
                                    std::int64_t now_ms, outcome& out) {
  using enum backlog_events::portion;
  segment_share share{segment.number, segment.bytes};
  if (!segment.sealed && !segment.damaged) return share;
  bool is_mixed = false;
  for (const auto& [stream, events] : segment.events) {
    const auto portion = backlog.between(stream, segment.first_seq, segment.last_seq);
    is_mixed = is_mixed || portion == some;
    if (portion != all) continue;
    const auto bytes = segment.body_bytes.find(stream);
    share.backlog_bytes +=
        events * event_overhead_bytes + (bytes == segment.body_bytes.end() ? 0 : bytes->second);
  }
  share.is_measured = !is_mixed;
  const auto enough = most_backlog(segment.bytes, rules());
  if (!is_mixed || segment.damaged || share.backlog_bytes > enough) return share;
  auto known = measures_.find(segment.number);
  const auto holds_ms = is_short() ? measure_holds_when_short_ms : measure_holds_ms;
  if (known == measures_.end() || now_ms - known->second.at_ms >= holds_ms) {
    if (!may_measure(segment)) return share;
    ++measured_;
    measured_bytes_ += segment.bytes;
    const auto sum =
        parts_.segments->measure(segment, backlog, std::max(enough, segment.bytes / 2));
    if (!sum) {
      out.done = sum.error();
      return share;
    }
    known = measures_.insert_or_assign(segment.number, measure{*sum, now_ms}).first;
  }
  share.backlog_bytes = known->second.backlog_bytes;
  share.is_measured = true;
  return share;
}

void space_maker::move(const std::vector<std::uint64_t>& numbers, const backlog_events& backlog,
                       outcome& out) {
  std::vector<segment_info> from;
  for (const auto number : numbers) {
    auto one = parts_.catalog->get(number);
    if (!one) return;
    from.push_back(std::move(*one));
    measures_.erase(number);
  }
  const auto moves = parts_.catalog->moves();
  auto done = parts_.segments->move(std::move(from), backlog, parts_.segment_max_bytes);
  // More is owed than was thought: it is measured again.
  if (!done && done.error().code != errc::invalid) out.done = done;
  if (parts_.catalog->moves() != moves) out.moved += numbers.size();
}

} // namespace penstock
