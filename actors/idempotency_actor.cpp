#include "actors/idempotency_actor.hpp"

#include "actors/messages.hpp"

namespace penstock {

namespace {

constexpr std::uint16_t busy_status = 503;
constexpr std::uint32_t busy_retry_s = 1;

} // namespace

void idempotency_state::start(std::shared_ptr<idempotency_index> index,
                              std::function<std::int64_t()> wall_ms,
                              std::shared_ptr<idempotency_metrics> metrics) {
  index_ = std::move(index);
  wall_ms_ = std::move(wall_ms);
  metrics_ = std::move(metrics);
  expire();
}

claim_reply idempotency_state::claim(const claim_request& request,
                                     const caf::strong_actor_ptr& from) {
  const auto now_ms = wall_ms_();
  claim_reply reply{request.token, {}};
  reply.verdicts.reserve(request.items.size());
  for (const auto& item : request.items)
    reply.verdicts.push_back(claim(item, request.token, from, now_ms));
  return reply;
}

claim_verdict idempotency_state::claim(const claim_item& item, std::uint64_t token,
                                       const caf::strong_actor_ptr& from, std::int64_t now_ms) {
  claim_verdict out{.index = item.index};
  if (const auto known = index_->find(item.key, now_ms)) {
    out.state = known->content == item.content ? claim_state::repeat : claim_state::conflict;
    out.seq = known->seq;
    out.count = known->count;
  } else if (auto [first, is_new] = under_way_.try_emplace(item.key); is_new) {
    first->second.content = item.content;
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
  (out.state == claim_state::fresh      ? metrics_->fresh
   : out.state == claim_state::repeat   ? metrics_->repeats
   : out.state == claim_state::conflict ? metrics_->conflicts
                                        : metrics_->waited)
      .add();
  return out;
}

void idempotency_state::settle(const claims_settled& news) {
  const auto now_ms = wall_ms_();
  for (const auto& outcome : news.outcomes) {
    const auto& record = outcome.record;
    const bool stored = record.count > 0;
    if (stored) index_->insert(record, now_ms);
    const auto first = under_way_.find(record.key);
    if (first == under_way_.end()) continue;
    const auto waiters = std::move(first->second.waiters);
    under_way_.erase(first);
    for (const auto& one : waiters) {
      claim_verdict verdict{.index = one.index,
                            .state = stored ? claim_state::repeat : claim_state::failed,
                            .seq = record.seq,
                            .count = record.count,
                            .status = outcome.status,
                            .retry_after_s = outcome.retry_after_s};
      self_->send(caf::actor_cast<caf::actor>(one.who), claim_reply{one.token, {verdict}});
    }
  }
}

void idempotency_state::expire() {
  index_->expire(wall_ms_(), expiry_visits);
  metrics_->keys.set(static_cast<std::int64_t>(index_->size()));
  metrics_->bytes.set(static_cast<std::int64_t>(index_->memory_bytes()));
}

caf::behavior idempotency_actor(caf::stateful_actor<idempotency_state>* self,
                                std::shared_ptr<idempotency_index> index,
                                std::function<std::int64_t()> wall_ms,
                                std::shared_ptr<idempotency_metrics> metrics) {
  self->state.start(std::move(index), std::move(wall_ms), std::move(metrics));
  self->delayed_send(self, expiry_interval, expiry_tick{});
  return {
      [self](const claim_request& request) {
        return self->state.claim(request, self->current_sender());
      },
      [self](const claims_settled& news) { self->state.settle(news); },
      [self](expiry_tick) {
        self->state.expire();
        self->delayed_send(self, expiry_interval, expiry_tick{});
      },
      [self](drain) { self->quit(); },
  };
}

} // namespace penstock
