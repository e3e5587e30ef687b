#include "actors/idempotency/idempotency_actor.hpp"

#include "actors/base/lifecycle_messages.hpp"
#include "actors/cluster/link_messages.hpp"
#include "actors/cluster/membership_messages.hpp"
#include "actors/interfaces/handles.hpp"
#include "storage/base/assert.hpp"

#include <utility>

namespace penstock {

namespace {

constexpr std::uint16_t busy_status = 503;
constexpr std::uint32_t busy_retry_s = 1;

} // namespace

void idempotency_state::start(idempotency_parts parts) {
  parts_ = std::move(parts);
  if (parts_.cluster)
    moves_.emplace(*parts_.cluster,
                   key_moves::tools{
                       parts_.index.get(),
                       [this](const auto& to, key_rows rows) { self_->send(to, std::move(rows)); },
                       [this](std::uint32_t shard) { return under_way_in_[shard] > 0; },
                       parts_.wall_ms});
  tick();
}

// -- claims ---------------------------------------------------------------------------------------

key_moves::standing idempotency_state::standing_of(const claim_request& request) const {
  using standing = key_moves::standing;
  auto worst = standing::ours;
  if (!moves_) return worst;
  for (const auto& item : request.items) {
    const auto one = moves_->ask(shard_of(item.key.high), request.epoch);
    if (one == standing::elsewhere) return one;
    if (one == standing::wait) worst = one;
  }
  return worst;
}

void idempotency_state::take(const claim_request& request, const front_end_handle& from) {
  switch (standing_of(request)) {
  case key_moves::standing::ours:
    return self_->send(from, decide(request, from));
  case key_moves::standing::elsewhere:
    return refuse(request, from);
  case key_moves::standing::wait:
    if (parked_.size() >= max_parked_claims) return refuse(request, from);
    parked_.push_back({request, from, parts_.cluster->steady_ns()});
    parts_.metrics->parked.set(static_cast<std::int64_t>(parked_.size()));
  }
}

claim_reply idempotency_state::decide(const claim_request& request, const front_end_handle& from) {
  const auto now_ms = parts_.wall_ms();
  claim_reply reply{request.token, {}};
  reply.verdicts.reserve(request.items.size());
  for (const auto& item : request.items)
    reply.verdicts.push_back(claim(item, request.token, from, now_ms));
  return reply;
}

// A retry finds the owner.
void idempotency_state::refuse(const claim_request& request, const front_end_handle& from) {
  claim_reply reply{request.token, {}};
  for (const auto& item : request.items)
    reply.verdicts.push_back({.index = item.index,
                              .state = claim_state::failed,
                              .status = busy_status,
                              .retry_after_s = busy_retry_s});
  self_->send(from, std::move(reply));
}

claim_verdict idempotency_state::claim(const claim_item& item, std::uint64_t token,
                                       const front_end_handle& from, std::int64_t now_ms) {
  claim_verdict out{.index = item.index};
  if (const auto known = parts_.index->find(item.key, now_ms)) {
    out.state = known->content == item.content ? claim_state::repeat : claim_state::conflict;
    out.seq = known->seq;
    out.count = known->count;
    out.tag = known->tag;
  } else if (auto [first, is_new] = under_way_.try_emplace(item.key); is_new) {
    first->second.content = item.content;
    ++under_way_in_[shard_of(item.key.high)];
    out.state = claim_state::fresh;
  } else if (first->second.content != item.content) {
    out.state = claim_state::conflict;
  } else if (first->second.waiters.size() >= max_waiters_per_key) {
    out.state = claim_state::failed;
    out.status = busy_status;
    out.retry_after_s = busy_retry_s;
  } else {
    first->second.waiters.push_back({from, token, item.index});
    out.state = claim_state::waiting;
  }
  (out.state == claim_state::fresh      ? parts_.metrics->fresh
   : out.state == claim_state::repeat   ? parts_.metrics->repeats
   : out.state == claim_state::conflict ? parts_.metrics->conflicts
                                        : parts_.metrics->waited)
      .add();
  return out;
}

void idempotency_state::settle(const claims_settled& update) {
  const auto now_ms = parts_.wall_ms();
  for (const auto& outcome : update.outcomes) {
    const auto& record = outcome.record;
    const bool stored = record.count > 0;
    if (stored) parts_.index->insert(record, now_ms);
    const auto first = under_way_.find(record.key);
    if (first == under_way_.end()) continue;
    const auto waiters = std::move(first->second.waiters);
    under_way_.erase(first);
    auto& in_shard = under_way_in_[shard_of(record.key.high)];
    PENSTOCK_ASSERT(in_shard > 0);
    --in_shard;
    for (const auto& one : waiters) {
      claim_verdict verdict{.index = one.index,
                            .state = stored ? claim_state::repeat : claim_state::failed,
                            .seq = record.seq,
                            .count = record.count,
                            .status = outcome.status,
                            .retry_after_s = outcome.retry_after_s};
      self_->send(one.who, claim_reply{one.token, {verdict}});
    }
  }
}

// -- moves ----------------------------------------------------------------------------------------

// In the order in which they came.
void idempotency_state::take_parked() {
  if (parked_.empty()) return;
  const auto oldest_ns = parts_.cluster->steady_ns() - key_handover_timeout_ns;
  auto waiting = std::exchange(parked_, {});
  for (auto& one : waiting) {
    if (standing_of(one.request) != key_moves::standing::wait)
      take(one.request, one.from);
    else if (one.since_ns <= oldest_ns)
      refuse(one.request, one.from);
    else
      parked_.push_back(std::move(one));
  }
}

void idempotency_state::go_on() {
  take_parked();
  if (moves_->send_next()) self_->send(self_, move_keys{});
  try_to_leave();
  show();
}

void idempotency_state::try_to_leave() {
  if (left.pending() && moves_->has_left()) left.deliver(shards_gone{});
}

void idempotency_state::tick() {
  parts_.index->expire(parts_.wall_ms(), expiry_visits);
  if (!moves_) return show();
  moves_->tick();
  go_on();
}

void idempotency_state::show() {
  idempotency_metrics& m = *parts_.metrics;
  m.keys.set(static_cast<std::int64_t>(parts_.index->size()));
  m.bytes.set(static_cast<std::int64_t>(parts_.index->memory_bytes()));
  if (!moves_) return;
  m.moved_away.add(moves_->sent() - m.moved_away.value());
  m.moved_here.add(moves_->received() - m.moved_here.value());
  m.moves_incomplete.add(moves_->incomplete() - m.moves_incomplete.value());
  m.arriving.set(static_cast<std::int64_t>(moves_->arriving()));
  m.parked.set(static_cast<std::int64_t>(parked_.size()));
}

namespace {

using idempotency_pointer = idempotency_self::stateful_pointer<idempotency_state>;

// In a cluster.
auto key_moves_handlers(idempotency_pointer self) {
  auto* const moves = self->state.moves();
  return std::tuple{
      [=](const placement_changed& change) {
        moves->on_placement(change.to);
        self->state.go_on();
      },
      [=](const peer_up& peer) {
        moves->on_peer_up(peer);
        self->state.go_on();
      },
      [=](const peer_down& peer) {
        moves->on_peer_down(peer);
        self->state.go_on();
      },
      [=](const key_rows& rows) {
        moves->on_rows(rows);
        self->state.go_on();
        return keys_taken{rows.token, rows.complete};
      },
      [=](const keys_taken& done) {
        moves->on_taken(done);
        self->state.go_on();
      },
      [=](const held_by& holder) {
        moves->copy_to(holder.member);
        self->state.go_on();
      },
      [=](move_keys) { self->state.go_on(); },
      [=](leave_shards) -> caf::result<shards_gone> {
        self->state.left = self->make_response_promise();
        const auto promise = self->state.left;
        moves->leave();
        self->state.go_on(); // shards may have waited for a copy
        return promise;
      },
  };
}

} // namespace

idempotency_self::behavior_type idempotency_actor(idempotency_pointer self,
                                                  idempotency_parts parts) {
  self->state.start(std::move(parts));
  self->delayed_send(self, expiry_interval, expiry_tick{});
  std::tuple own{
      [self](const claim_request& request) {
        self->state.take(request, sender_as<front_end_handle>(self));
      },
      [self](const claims_settled& update) { self->state.settle(update); },
      [self](expiry_tick) {
        self->state.tick();
        self->delayed_send(self, expiry_interval, expiry_tick{});
      },
      [self](drain) { self->quit(); },
  };
  if (!self->state.moves()) return partial_behavior<idempotency_self>(std::move(own));
  return whole_behavior<idempotency_self>(std::move(own), key_moves_handlers(self));
}

} // namespace penstock
