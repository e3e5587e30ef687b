#include "actors/queue/queue_state.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <utility>

namespace penstock {

void append_receipt(std::string& out, const receipt& what) {
  char text[33];
  auto end = std::to_chars(text, text + 16, what.seq, 16).ptr;
  *end++ = '.';
  end = std::to_chars(end, end + 16, what.lease, 16).ptr;
  out.append(text, end);
}

std::string format_receipt(const receipt& what) {
  std::string out;
  append_receipt(out, what);
  return out;
}

std::optional<receipt> parse_receipt(std::string_view text) {
  receipt out;
  const auto* end = text.data() + text.size();
  const auto seq = std::from_chars(text.data(), end, out.seq, 16);
  if (seq.ec != std::errc{} || seq.ptr == end || *seq.ptr != '.') return std::nullopt;
  const auto lease = std::from_chars(seq.ptr + 1, end, out.lease, 16);
  if (lease.ec != std::errc{} || lease.ptr != end || out.seq == 0 || out.lease == 0)
    return std::nullopt;
  return out;
}

queue_state::queue_state(const cursor& saved, const queue_limits& limits, std::uint64_t first_lease,
                         std::uint64_t recovered_seq, budget_share share)
    : saved_{saved.stream, saved.sink, saved.seq, {}}, limits_{limits}, first_lease_{first_lease},
      next_lease_{first_lease}, recovered_seq_{recovered_seq}, position_{saved.seq},
      share_{std::move(share)} {
  for (const auto& [first, last] : saved.acked_ahead)
    if (first != 0 && first <= last) acked_.add(first, last);
  saved_.seq = acked_.advance(saved_.seq);
}

bool queue_state::wants_blocks() const {
  return window_bytes() < limits_.window_bytes && fresh_bytes_ < limits_.read_ahead_bytes &&
         share_.may_grow();
}

event_volume queue_state::add(const std::vector<std::shared_ptr<const event_block>>& blocks) {
  event_volume taken;
  for (const auto& block : blocks) {
    if (block->empty() || block->last_seq() <= position_) continue;
    if (window_bytes() >= limits_.window_bytes || !share_.may_grow()) break;
    taken += add_block(block);
  }
  return taken;
}

event_volume queue_state::add_block(const std::shared_ptr<const event_block>& block) {
  PENSTOCK_ASSERT(block->last_seq() > position_);
  event_volume unacked;
  entry fresh{.block = block, .after = position_, .slots = std::vector<slot>(block->size())};
  for (std::size_t i = 0; i < block->size(); ++i) {
    const auto seq = block->first_seq + i;
    // Of a row that overlaps the one before, as on a disk that was restored, what lies before the
    // position is not this entry's: it was passed over, or that one has it.
    if (seq <= position_ || seq <= saved_.seq || acked_.contains(seq)) {
      fresh.slots[i].at = phase::acked;
    } else {
      unacked += {1, block->event_bytes(i)};
    }
  }
  // Acknowledged before it was read: now we know that no event lies between it and the last.
  if (fresh.slots[0].at == phase::acked && block->first_seq > position_) {
    acked_.add(position_ + 1, block->first_seq);
    saved_.seq = acked_.advance(saved_.seq);
  }
  const auto first_own =
      std::max(block->first_seq, std::exchange(position_, block->last_seq()) + 1);
  if (unacked.events == 0) return unacked;
  fresh.fresh = fresh.unacked = static_cast<std::uint32_t>(unacked.events);
  fresh.bytes = block->memory_bytes() + fresh.slots.size() * sizeof(slot);
  share_.add(fresh.bytes);
  fresh_bytes_ += fresh.bytes;
  unacked_ += unacked.events;
  unacked_bytes_ += unacked.bytes;
  fresh_ += fresh.fresh;
  const bool is_new = window_.emplace(first_own, std::move(fresh)).second;
  PENSTOCK_ASSERT(is_new);
  return unacked;
}

void queue_state::pass_over(std::uint64_t seq) {
  if (seq <= position_) return;
  // Nothing lies in between, so it counts as acknowledged and the cursor need not stop there.
  acked_.add(position_ + 1, seq);
  position_ = seq;
  saved_.seq = acked_.advance(saved_.seq);
}

event_volume queue_state::let_go() {
  if (window_.empty() || in_flight_ > 0) return {};
  const event_volume out{unacked_, unacked_bytes_};
  if (const auto until = confirmed(); until > saved_.seq) {
    acked_.add(saved_.seq + 1, until);
    saved_.seq = acked_.advance(saved_.seq);
  }
  position_ = saved_.seq;
  for (const auto& [first, held] : window_)
    share_.sub(held.bytes);
  window_.clear();
  ready_again_.clear();
  unacked_ = unacked_bytes_ = fresh_ = fresh_from_ = 0;
  fresh_bytes_ = 0;
  return out;
}

std::optional<queue_state::place> queue_state::find(std::uint64_t seq) {
  auto after = window_.upper_bound(seq);
  if (after == window_.begin()) return std::nullopt;
  const auto at = std::prev(after);
  if (at->second.block->last_seq() < seq) return std::nullopt;
  return place{at, static_cast<std::uint32_t>(seq - at->second.block->first_seq)};
}

void queue_state::used_fresh(entry& of) {
  PENSTOCK_ASSERT(fresh_ > 0 && of.fresh > 0);
  --fresh_;
  if (--of.fresh > 0) return;
  PENSTOCK_ASSERT(fresh_bytes_ >= of.bytes);
  fresh_bytes_ -= of.bytes;
}

queued_message queue_state::hand_out(const place& where, std::uint64_t lease) {
  auto& state = where.state();
  PENSTOCK_ASSERT(state.at == phase::fresh || state.at == phase::ready_again);
  const bool repeat = state.at == phase::ready_again;
  if (!repeat) used_fresh(where.at->second);
  state = {lease, phase::leased};
  ++in_flight_;
  return {where.at->second.block, where.index, {where.seq(), lease}, repeat};
}

std::vector<queued_message> queue_state::receive(std::size_t max, std::size_t max_bytes,
                                                 std::int64_t lease_ms, std::int64_t now_ms) {
  std::vector<queued_message> out;
  const auto room = limits_.max_in_flight - std::min(limits_.max_in_flight, in_flight_);
  max = std::min<std::size_t>(max, room);
  const auto lease = next_lease_;
  std::size_t bytes = 0;
  const auto more = [&] { return out.size() < max && bytes < max_bytes; };
  const auto give = [&](const place& where) {
    bytes += where.at->second.block->body(where.index).size();
    out.push_back(hand_out(where, lease));
  };
  while (more() && !ready_again_.empty()) {
    const auto seq = *ready_again_.begin();
    ready_again_.erase(ready_again_.begin());
    const auto where = find(seq);
    PENSTOCK_ASSERT(where.has_value());
    give(*where);
  }
  auto at = window_.upper_bound(fresh_from_);
  if (at != window_.begin()) --at;
  for (; more() && fresh_ > 0 && at != window_.end(); ++at) {
    const auto& here = at->second;
    for (std::uint32_t i = 0; more() && here.fresh > 0 && i < here.slots.size(); ++i) {
      if (here.slots[i].at != phase::fresh) continue;
      fresh_from_ = at->first;
      give({at, i});
    }
  }
  if (out.empty()) return out;
  ++next_lease_;
  lease_batch batch{.expiry_ms = now_ms + lease_ms, .seqs = {}, .open = out.size()};
  batch.seqs.reserve(out.size());
  for (const auto& message : out)
    batch.seqs.push_back(message.ticket.seq);
  expiries_.emplace(batch.expiry_ms, lease);
  leases_.emplace(lease, std::move(batch));
  return out;
}

void queue_state::end_lease(std::uint64_t lease) {
  const auto at = leases_.find(lease);
  PENSTOCK_ASSERT(at != leases_.end() && at->second.open > 0);
  PENSTOCK_ASSERT(in_flight_ > 0);
  --in_flight_;
  if (--at->second.open == 0) {
    expiries_.erase({at->second.expiry_ms, lease});
    leases_.erase(at);
  }
}

void queue_state::mark_acked(const place& where) {
  auto& here = where.at->second;
  auto& state = where.state();
  const auto seq = where.seq();
  if (state.at == phase::leased)
    end_lease(state.lease);
  else if (state.at == phase::ready_again)
    ready_again_.erase(seq);
  else
    used_fresh(here);
  state.at = phase::acked;
  const auto bytes = here.block->event_bytes(where.index);
  PENSTOCK_ASSERT(unacked_ > 0 && here.unacked > 0 && unacked_bytes_ >= bytes);
  --unacked_;
  unacked_bytes_ -= bytes;
  acked_.add(where.index == 0 ? here.after + 1 : seq, seq);
  saved_.seq = acked_.advance(saved_.seq);
  if (--here.unacked == 0) {
    share_.sub(here.bytes);
    window_.erase(where.at);
  }
}

receipt_outcome queue_state::ack(const receipt& what) {
  if (what.seq <= saved_.seq || acked_.contains(what.seq)) return receipt_outcome::done;
  // A receipt from before the restart still counts, unless the event went out again since.
  const bool earlier_life = what.lease < first_lease_ && what.seq <= recovered_seq_;
  const auto where = find(what.seq);
  if (!where) {
    if (!earlier_life || what.seq <= position_) return receipt_outcome::stale;
    acked_.add(what.seq, what.seq);
    saved_.seq = acked_.advance(saved_.seq);
    position_ = std::max(position_, saved_.seq); // of a window that was let go
    return receipt_outcome::done;
  }
  const auto& state = where->state();
  const bool never_out = state.at == phase::fresh;
  if (never_out ? !earlier_life : state.lease != what.lease) return receipt_outcome::stale;
  mark_acked(*where);
  return receipt_outcome::done;
}

receipt_outcome queue_state::nack(const receipt& what) {
  const auto where = find(what.seq);
  if (!where) return receipt_outcome::stale;
  auto& state = where->state();
  if (state.lease != what.lease || state.at == phase::acked || state.at == phase::fresh)
    return receipt_outcome::stale;
  if (state.at == phase::leased) {
    end_lease(state.lease);
    ready_again_.insert(what.seq);
  }
  state = {0, phase::ready_again};
  return receipt_outcome::done;
}

std::size_t queue_state::expire(std::int64_t now_ms) {
  std::size_t freed = 0;
  while (!expiries_.empty() && expiries_.begin()->first <= now_ms) {
    const auto number = expiries_.begin()->second;
    expiries_.erase(expiries_.begin());
    const auto batch = leases_.extract(number);
    PENSTOCK_ASSERT(!batch.empty());
    for (const auto seq : batch.mapped().seqs) {
      const auto where = find(seq);
      if (!where || where->state().at != phase::leased || where->state().lease != number) continue;
      // The lease number stays: a late acknowledgement is good until the event goes out again.
      where->state().at = phase::ready_again;
      ready_again_.insert(seq);
      PENSTOCK_ASSERT(in_flight_ > 0);
      --in_flight_;
      ++freed;
    }
  }
  return freed;
}

std::optional<std::int64_t> queue_state::next_expiry_ms() const {
  if (expiries_.empty()) return std::nullopt;
  return expiries_.begin()->first;
}

bool queue_state::has_ready() const {
  return (fresh_ > 0 || !ready_again_.empty()) && in_flight_ < limits_.max_in_flight;
}

cursor queue_state::to_save() const {
  auto out = saved_;
  out.acked_ahead = acked_.lowest(max_acked_ranges);
  return out;
}

std::uint64_t queue_state::confirmed() const {
  if (window_.empty()) return position_;
  const auto& here = window_.begin()->second;
  const auto unacked = std::find_if(here.slots.begin(), here.slots.end(),
                                    [](const slot& s) { return s.at != phase::acked; });
  return here.block->first_seq + static_cast<std::uint64_t>(unacked - here.slots.begin()) - 1;
}

std::optional<std::int64_t> queue_state::ready_time_ms() {
  if (!ready_again_.empty()) return find(*ready_again_.begin())->at->second.block->time_ms;
  auto at = window_.upper_bound(fresh_from_);
  if (at != window_.begin()) --at;
  for (; fresh_ > 0 && at != window_.end(); ++at)
    if (at->second.fresh > 0) return at->second.block->time_ms;
  return std::nullopt;
}

std::optional<std::int64_t> queue_state::oldest_time_ms() const {
  if (window_.empty()) return std::nullopt;
  return window_.begin()->second.block->time_ms;
}

} // namespace penstock
