#include "actors/limiter.hpp"

namespace penstock {
// -- life -----------------------------------------------------------------------------------------

void limiter_state::start(std::shared_ptr<const plan> rules, std::size_t max_clients,
                          limiter_clock clock, std::shared_ptr<limiter_metrics> metrics) {
  table_ = client_table{rules->limits.size(), max_clients};
  rules_ = std::move(rules);
  clock_ = std::move(clock);
  metrics_ = std::move(metrics);
  publish_size();
}

// -- decisions ------------------------------------------------------------------------------------

admit_reply limiter_state::decide(const admit_request& request) {
  metrics_->messages.add();
  admit_reply reply{request.token, {}};
  reply.verdicts.reserve(request.items.size());
  // One reading for all: they arrived together.
  const std::int64_t now_ns = clock_();
  std::uint64_t admitted = 0;
  std::uint64_t units = 0;
  for (const admit_item& item : request.items) {
    const verdict answer = decide(item, now_ns);
    reply.verdicts.push_back(answer);
    admitted += answer.granted != 0;
    units += answer.granted;
    if (answer.reason == 0) continue;
    metrics_->refused_by_reason[answer.reason].add();
    if (answer.limit != verdict::no_limit) metrics_->refused_by_limit[answer.limit].add();
  }
  metrics_->requests_admitted.add(admitted);
  metrics_->units_granted.add(units);
  return reply;
}

verdict limiter_state::decide(const admit_item& item, std::int64_t now_ns) {
  if (rules_->limits.empty()) return admit(*rules_, {}, now_ns, item.cost);
  const std::span<limit_state> states = table_.find_or_add(item.client);
  if (states.empty()) {
    verdict full;
    full.reason = static_cast<std::uint8_t>(refusal::table_full);
    return full;
  }
  return admit(*rules_, states, now_ns, item.cost);
}

// -- upkeep ---------------------------------------------------------------------------------------

void limiter_state::sweep() {
  metrics_->clients_forgotten.add(table_.sweep(*rules_, clock_(), sweep_visits));
  publish_size();
}

void limiter_state::change_plan(std::shared_ptr<const plan> rules) {
  table_.change_plan(*rules_, *rules);
  rules_ = std::move(rules);
  publish_size();
}

void limiter_state::publish_size() {
  metrics_->live_clients.set(static_cast<std::int64_t>(table_.size()));
  metrics_->table_bytes.set(static_cast<std::int64_t>(table_.memory_bytes()));
}

caf::behavior limiter(caf::stateful_actor<limiter_state>* self, std::shared_ptr<const plan> rules,
                      limiter_settings settings, limiter_clock clock,
                      std::shared_ptr<limiter_metrics> metrics) {
  self->state.start(std::move(rules), settings.max_clients, std::move(clock), std::move(metrics));
  self->delayed_send(self, sweep_interval, sweep_tick{});
  return {
      [self](const admit_request& request) { return self->state.decide(request); },
      [self](const plan_changed& change) { self->state.change_plan(change.rules); },
      [self](sweep_tick) {
        self->state.sweep();
        self->delayed_send(self, sweep_interval, sweep_tick{});
      },
      [self](drain) { self->quit(); },
  };
}

} // namespace penstock
