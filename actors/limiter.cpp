#include "actors/limiter.hpp"

namespace penstock {
// -- life -----------------------------------------------------------------------------------------

void limiter_state::start(limiter_parts parts) {
  parts_ = std::move(parts);
  publish_size();
}

// -- decisions ------------------------------------------------------------------------------------

admit_reply limiter_state::decide(const admit_request& request) {
  limiter_metrics& metrics = *parts_.metrics;
  metrics.messages.add();
  admit_reply reply{request.token, {}};
  reply.verdicts.reserve(request.items.size());
  // One reading for all: they arrived together.
  const std::int64_t now_ns = parts_.clock();
  std::span<const std::uint32_t> sizes = request.sizes;
  located_.clear();
  for (const admit_item& item : request.items)
    located_.push_back(parts_.ledger->locate(item, now_ns));
  std::uint64_t admitted = 0;
  std::uint64_t units = 0;
  for (std::size_t i = 0; i < request.items.size(); ++i) {
    const admit_item& item = request.items[i];
    // A peer that sends too few has its batches decided as a whole.
    const bool sized = item.events > 1 && item.bytes > 0 && item.events <= sizes.size();
    const verdict answer =
        decide(located_[i], item, sized ? sizes.first(item.events) : sizes.first(0), now_ns);
    if (sized) sizes = sizes.subspan(item.events);
    reply.verdicts.push_back(answer);
    admitted += answer.granted != 0;
    units += answer.granted;
  }
  metrics.requests_admitted.add(admitted);
  metrics.units_granted.add(units);
  return reply;
}

verdict limiter_state::decide(const limit_ledger::location& at, const admit_item& item,
                              std::span<const std::uint32_t> sizes, std::int64_t now_ns) {
  const auto decided = parts_.ledger->decide(at, item, sizes, now_ns);
  const verdict& answer = decided.answer;
  limiter_metrics& metrics = *parts_.metrics;
  if (answer.reason != 0) {
    metrics.refused_by_reason[answer.reason].add();
    if (answer.limit != verdict::no_limit)
      metrics.refused_by_limit[(*decided.labels)[answer.limit]].add();
  }
  for (std::size_t i = 0; decided.shadowed >> i != 0; ++i)
    if ((decided.shadowed >> i & 1) != 0) metrics.shadowed_by_limit[(*decided.labels)[i]].add();
  return answer;
}

limits_reply limiter_state::look_up(const limits_query& query) {
  return parts_.ledger->look_up(query, parts_.clock());
}

// -- upkeep ---------------------------------------------------------------------------------------

void limiter_state::sweep() {
  parts_.metrics->clients_forgotten.add(parts_.ledger->sweep(parts_.clock(), sweep_visits));
  publish_size();
}

void limiter_state::change_plans(const plan_list& plans) {
  parts_.ledger->change_plans(plans, parts_.clock());
  publish_size();
}

void limiter_state::publish_size() {
  parts_.metrics->live_clients.set(static_cast<std::int64_t>(parts_.ledger->size()));
  parts_.metrics->table_bytes.set(static_cast<std::int64_t>(parts_.ledger->memory_bytes()));
}

// -- what survives --------------------------------------------------------------------------------

std::shared_ptr<const std::vector<counter_row>> limiter_state::begin_save() {
  if (!parts_.counters || saving_ || !parts_.ledger->has_changed()) return nullptr;
  std::vector<counter_row> rows;
  // What changed may say nothing any more.
  while (rows.empty() && parts_.ledger->has_changed())
    rows = parts_.ledger->take_changed(max_rows_a_save, parts_.clock());
  if (rows.empty()) return nullptr;
  saving_ = std::make_shared<const std::vector<counter_row>>(std::move(rows));
  return saving_;
}

void limiter_state::end_save() {
  if (saving_) parts_.metrics->rows_saved.add(saving_->size());
  saving_.reset();
}

namespace {

using limiter_actor = caf::stateful_actor<limiter_state>;

void save(limiter_actor* self) {
  if (auto rows = self->state.begin_save())
    self->send(self->state.counters(), counters_changed{std::move(rows)});
}

// Having been told to end: saves what is left, piece by piece, and then ends.
void finish(limiter_actor* self) {
  save(self);
  if (!self->state.all_saved()) return;
  self->state.drained.deliver(drained{});
  self->quit();
}

} // namespace

caf::behavior limiter(limiter_actor* self, limiter_parts parts) {
  self->state.start(std::move(parts));
  self->delayed_send(self, sweep_interval, sweep_tick{});
  if (self->state.counters()) self->delayed_send(self, save_interval, save_tick{});
  return {
      [self](const admit_request& request) { return self->state.decide(request); },
      [self](const limits_query& query) { return self->state.look_up(query); },
      [self](const plans_changed& change) { self->state.change_plans(change.plans); },
      [self](sweep_tick) {
        self->state.sweep();
        self->delayed_send(self, sweep_interval, sweep_tick{});
      },
      [self](save_tick) {
        save(self);
        self->delayed_send(self, save_interval, save_tick{});
      },
      [self](counters_saved) { self->state.end_save(); },
      [self](drain) {
        self->state.drained = self->make_response_promise();
        self->become(
            [self](counters_saved) {
              self->state.end_save();
              finish(self);
            },
            // Who asks now is asking too late, and goes on as without us.
            [](const admit_request&) {}, [](const limits_query&) {}, [](const plans_changed&) {},
            [](sweep_tick) {}, [](save_tick) {});
        finish(self);
        return self->state.drained;
      },
  };
}

} // namespace penstock
