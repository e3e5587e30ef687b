#include "actors/delivery/lane_feed.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>
#include <unordered_set>

namespace penstock {

batch_rules rules_for(const delivery_settings& settings, const sink_traits& traits,
                      std::uint64_t max_batch_bytes) {
  batch_rules out;
  const auto events = settings.batch_events == 0 ? traits.batch_events : settings.batch_events;
  out.max_events = std::min(events, traits.max_batch_events);
  out.max_bytes = settings.batch_bytes == 0 ? std::min(traits.batch_bytes, max_batch_bytes)
                                            : settings.batch_bytes;
  out.one_per_client = traits.breaks_batches;
  out.in_order = traits.in_order;
  out.linger_ms = settings.linger_ms.count();
  out.retry_min_ms = settings.retry_min_ms.count();
  out.retry_max_ms = settings.retry_max_ms.count();
  out.max_tries = settings.max_tries;
  return out;
}

std::int64_t retry_pause_ms(std::uint32_t failures, std::int64_t min_ms, std::int64_t max_ms,
                            double random) {
  constexpr std::uint32_t max_doublings = 30;
  const auto doubled = min_ms << std::min(failures, max_doublings);
  const auto longest = std::min(doubled, max_ms);
  return longest / 2 + static_cast<std::int64_t>(random * static_cast<double>(longest) / 2);
}

void lane_feed::add(outgoing_event event, std::uint32_t ref, std::int64_t now_ms) {
  ++waiting_;
  waiting_bytes_ += event.body().size();
  const auto seq = event.seq();
  entries_.push_back({.event = std::move(event), .seq = seq, .ref = ref, .added_ms = now_ms});
}

std::optional<std::int64_t> lane_feed::due_ms() const {
  if (!in_flight_.empty() || waiting_ == 0) return std::nullopt;
  const bool full = waiting_ >= rules_.max_events || waiting_bytes_ >= rules_.max_bytes;
  if (full || failures_ > 0) return not_before_ms_;
  return std::max(not_before_ms_, first_waiting()->added_ms + rules_.linger_ms);
}

std::vector<outgoing_event> lane_feed::take(std::uint32_t max_events) {
  const auto limit = std::max(1u, std::min({max_events, batch_limit_, rules_.max_events}));
  const auto reach = rules_.one_per_client ? rules_.max_events * max_look_ahead_batches : ~0ull;
  PENSTOCK_ASSERT(in_flight_.empty());
  std::vector<outgoing_event> out;
  std::unordered_set<std::uint64_t> clients;
  std::uint64_t bytes = 0;
  std::optional<std::uint64_t> passed_over;
  std::size_t looked_at = 0;
  repeats_ = 0;
  for (std::size_t i = 0; i < entries_.size() && out.size() < limit && looked_at < reach; ++i) {
    auto& one = entries_[i];
    if (one.at != phase::waiting) continue;
    ++looked_at;
    if (step_aside_ && !passed_over) passed_over = one.event.client();
    if (passed_over == one.event.client()) continue;
    if (!out.empty() && bytes + one.event.body().size() > rules_.max_bytes) break;
    if (rules_.one_per_client && !clients.insert(one.event.client()).second) continue;
    bytes += one.event.body().size();
    one.at = phase::in_flight;
    repeats_ += std::exchange(one.was_taken, true);
    in_flight_.push_back(popped_ + i);
    out.push_back(one.event);
  }
  const bool nobody_else = out.empty() && step_aside_;
  step_aside_ = false;
  if (nobody_else) return take(max_events);
  PENSTOCK_ASSERT(waiting_ >= out.size() && waiting_bytes_ >= bytes);
  waiting_ -= out.size();
  waiting_bytes_ -= bytes;
  return out;
}

void lane_feed::back_to_wait(entry& one) {
  one.at = phase::waiting;
  ++waiting_;
  waiting_bytes_ += one.event.body().size();
}

void lane_feed::finish(entry& one) {
  PENSTOCK_ASSERT(one.at != phase::done && one.at != phase::waiting);
  one.at = phase::done;
  one.event.block.reset();
  ++done_ahead_;
}

lane_feed::done_event lane_feed::done_of(const entry& one) {
  return {one.ref, static_cast<std::uint32_t>(one.event.block->event_bytes(one.event.index))};
}

void lane_feed::pop_done() {
  while (!entries_.empty() && entries_.front().at == phase::done) {
    PENSTOCK_ASSERT(done_ahead_ > 0);
    entries_.pop_front();
    ++popped_;
    --done_ahead_;
  }
}

/// Whether an event that failed alone has done so often enough while the sink took others.
bool lane_feed::is_to_blame(entry& one, std::uint64_t sink_deliveries) {
  if (one.failed_alone && sink_deliveries == one.deliveries_at_try) return false;
  one.failed_alone = true;
  one.deliveries_at_try = sink_deliveries;
  return ++one.tries >= rules_.max_tries;
}

const lane_feed::entry* lane_feed::first_waiting() const {
  // Entries before it are few: those that are being stored as dead letters.
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [](const entry& one) { return one.at == phase::waiting; });
  return found == entries_.end() ? nullptr : &*found;
}

void lane_feed::note_failure(const delivery& outcome, std::int64_t now_ms, double random) {
  const auto count = [&](settled_as how) {
    return std::count(outcome.events.begin(), outcome.events.end(), how);
  };
  const auto failed = count(settled_as::failed);
  if (failed == 0) {
    failures_ = 0;
    not_before_ms_ = 0;
    const auto* first = first_waiting();
    if (first && first->failed_alone) return; // others were tried in its place
    batch_limit_ = batch_limit_ > rules_.max_events ? ~0u : batch_limit_ * 2;
    return;
  }
  if (count(settled_as::delivered) > 0)
    failures_ = 0;
  else
    // A batch of one that fails may be to blame itself: find out whether others get through.
    step_aside_ = !rules_.in_order && outcome.events.size() == 1 && failures_ % 2 == 1;
  const auto pause = retry_pause_ms(failures_, rules_.retry_min_ms, rules_.retry_max_ms, random);
  not_before_ms_ = now_ms + std::max(pause, static_cast<std::int64_t>(outcome.pause_ms.count()));
  ++failures_;
  if (failures_ > 2 && outcome.scope == failure_scope::sink) // twice may be chance
    batch_limit_ =
        std::max<std::uint32_t>(1, static_cast<std::uint32_t>(outcome.events.size() / 2));
}

lane_feed::settlement lane_feed::settle(const delivery& outcome, std::int64_t now_ms,
                                        std::uint64_t sink_deliveries, double random) {
  settlement out;
  const auto numbers = std::exchange(in_flight_, {});
  note_failure(outcome, now_ms, random);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    auto& one = of(numbers[i]);
    PENSTOCK_ASSERT(one.at == phase::in_flight);
    const auto how = i < outcome.events.size() ? outcome.events[i] : settled_as::failed;
    if (how == settled_as::delivered) {
      out.delivered.push_back(done_of(one));
      finish(one);
      continue;
    }
    const bool refused =
        how == settled_as::refused && (++one.tries >= rules_.max_tries || outcome.is_final);
    const bool blamed =
        how == settled_as::failed && numbers.size() == 1 && is_to_blame(one, sink_deliveries);
    if (!refused && !blamed) {
      back_to_wait(one);
      continue;
    }
    one.at = phase::storing;
    out.dead.push_back({one.event, one.ref, one.tries,
                        refused ? outcome.refusal
                                : "failed alone while the sink took others: " + outcome.failure});
  }
  pop_done();
  return out;
}

std::vector<lane_feed::dead_event>
lane_feed::condemn(std::uint64_t last_seq, dead_letter_room& room, const std::string& reason) {
  std::vector<dead_event> out;
  for (auto& one : entries_) {
    const bool is_full = room.events == 0 || room.bytes == 0;
    if (is_full || waiting_ == 0 || one.seq > last_seq) break;
    if (one.at != phase::waiting) continue;
    const auto bytes = one.event.body().size();
    PENSTOCK_ASSERT(waiting_bytes_ >= bytes);
    one.at = phase::storing;
    --waiting_;
    waiting_bytes_ -= bytes;
    --room.events;
    room.bytes -= std::min(room.bytes, bytes);
    out.push_back({one.event, one.ref, std::max(one.tries, one.was_taken ? 1u : 0u), reason});
  }
  return out;
}

std::optional<lane_feed::done_event> lane_feed::dead_letter_done(std::uint64_t seq) {
  const auto dead_letters_stored =
      std::find_if(entries_.begin(), entries_.end(),
                   [&](const entry& one) { return one.at == phase::storing && one.seq == seq; });
  if (dead_letters_stored == entries_.end()) return std::nullopt;
  const auto out = done_of(*dead_letters_stored);
  finish(*dead_letters_stored);
  pop_done();
  return out;
}

std::optional<std::uint64_t> lane_feed::first_open_seq() const {
  if (entries_.empty()) return std::nullopt;
  return entries_.front().seq;
}

std::optional<std::pair<std::uint64_t, std::int64_t>> lane_feed::next_waiting() const {
  if (waiting_ == 0) return std::nullopt;
  const auto at = std::ranges::find(entries_, phase::waiting, &entry::at);
  return std::pair{at->seq, at->event.block->time_ms};
}

std::optional<std::int64_t> lane_feed::oldest_time_ms() const {
  if (entries_.empty()) return std::nullopt;
  return entries_.front().event.block->time_ms;
}

std::vector<std::pair<std::uint64_t, std::uint64_t>>
lane_feed::done_ahead(std::size_t max_ranges) const {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> out;
  if (done_ahead_ == 0) return out;
  bool follows = false;
  for (const auto& one : entries_) {
    if (one.at != phase::done) {
      follows = false;
    } else if (follows) {
      out.back().second = one.seq;
    } else {
      if (out.size() == max_ranges) break;
      out.emplace_back(one.seq, one.seq);
      follows = true;
    }
  }
  return out;
}

void lane_feed::retry_now(std::int64_t now_ms) {
  not_before_ms_ = std::min(not_before_ms_, now_ms);
}

} // namespace penstock
