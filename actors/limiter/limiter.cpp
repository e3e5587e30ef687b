#include "actors/limiter/limiter.hpp"

#include "actors/base/lifecycle_messages.hpp"
#include "actors/cluster/link_messages.hpp"
#include "actors/cluster/membership_messages.hpp"
#include "actors/interfaces/handles.hpp"
#include "actors/limiter/limiter_messages.hpp"
#include "actors/limiter/peer_messages.hpp"
#include "actors/limits/event_sizes.hpp"

namespace penstock {
// -- life -----------------------------------------------------------------------------------------

void limiter_state::start(limiter_parts parts, limiter_self::pointer self) {
  parts_ = std::move(parts);
  if (parts_.cluster)
    cluster_.emplace(
        *parts_.cluster,
        limiter_cluster::tools{self, parts_.ledger.get(), [this] { return parts_.clock(); },
                               [this](const auto& at, const auto& item, auto sizes, auto now_ns) {
                                 return decide(at, item, sizes, now_ns);
                               }});
  publish_size();
}

// -- decisions ------------------------------------------------------------------------------------

admit_reply limiter_state::decide(const admit_request& request, const front_end_handle& front_end) {
  parts_.metrics->messages.add();
  if (cluster_) return cluster_->admit(request, front_end);
  admit_reply reply{request.token, {}, {}};
  reply.verdicts.reserve(request.items.size());
  // One reading for all: they arrived together.
  const std::int64_t now_ns = parts_.clock();
  event_sizes sizes{request.sizes};
  located_.clear();
  for (const admit_item& item : request.items)
    located_.push_back(parts_.ledger->locate(item, now_ns));
  for (std::size_t i = 0; i < request.items.size(); ++i) {
    const admit_item& item = request.items[i];
    reply.verdicts.push_back(decide(located_[i], item, sizes.next(item), now_ns).answer);
  }
  return reply;
}

limit_ledger::decision limiter_state::decide(const limit_ledger::location& at,
                                             const admit_item& item,
                                             std::span<const std::uint32_t> sizes,
                                             std::int64_t now_ns) {
  const auto decided = parts_.ledger->decide(at, item, sizes, now_ns);
  const verdict& answer = decided.answer;
  limiter_metrics& metrics = *parts_.metrics;
  metrics.requests_admitted.add(answer.granted != 0);
  metrics.units_granted.add(answer.granted);
  if (answer.reason != 0) {
    metrics.refused_by_reason[answer.reason].add();
    if (answer.limit != verdict::no_limit)
      metrics.refused_by_limit[(*decided.labels)[answer.limit]].add();
  }
  for (std::size_t i = 0; decided.shadowed >> i != 0; ++i)
    if ((decided.shadowed >> i & 1) != 0) metrics.shadowed_by_limit[(*decided.labels)[i]].add();
  return decided;
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
  if (cluster_) cluster_->plans_change();
  parts_.ledger->change_plans(plans, parts_.clock());
  publish_size();
}

void limiter_state::publish_size() {
  parts_.metrics->live_clients.set(static_cast<std::int64_t>(parts_.ledger->size()));
  parts_.metrics->table_bytes.set(static_cast<std::int64_t>(parts_.ledger->memory_bytes()));
}

// -- what survives --------------------------------------------------------------------------------

bool limiter_state::has_to_save() const {
  return parts_.counters && (parts_.ledger->has_changed() || (cluster_ && cluster_->has_marks()));
}

std::optional<counters_changed> limiter_state::begin_save() {
  if (saving_ || !has_to_save()) return std::nullopt;
  std::vector<counter_row> rows;
  // What changed may say nothing any more.
  while (rows.empty() && parts_.ledger->has_changed())
    rows = parts_.ledger->take_changed(max_rows_per_save, parts_.clock());
  auto marks = cluster_ ? cluster_->take_marks() : std::vector<shard_mark>{};
  if (rows.empty() && marks.empty()) return std::nullopt;
  saving_ = std::make_shared<const std::vector<counter_row>>(std::move(rows));
  return counters_changed{saving_, std::move(marks)};
}

void limiter_state::end_save() {
  if (saving_) parts_.metrics->rows_saved.add(saving_->size());
  saving_.reset();
}

namespace {

using limiter_pointer = limiter_self::stateful_pointer<limiter_state>;

void save(limiter_pointer self) {
  if (auto changed = self->state.begin_save())
    self->send(self->state.counters(), std::move(*changed));
}

// Having been told to end: saves what is left, piece by piece, and then ends.
void finish(limiter_pointer self) {
  save(self);
  if (!self->state.all_saved()) return;
  self->state.drained.deliver(drained{});
  self->quit();
}

// In a cluster the shard's owner is asked.
caf::result<limits_reply> look_up(limiter_pointer self, const limits_query& query) {
  auto* const cluster = self->state.cluster();
  if (!cluster) return self->state.look_up(query);
  bool reached = true;
  if (const limiter_handle owner = cluster->whom_to_ask(query, reached)) {
    limits_query passed_on = query;
    passed_on.passed_on = true;
    return self->delegate(owner, std::move(passed_on));
  }
  if (reached) return self->state.look_up(query);
  limits_reply nobody;
  nobody.token = query.token;
  nobody.reached = false;
  return nobody;
}

void try_to_leave(limiter_pointer self) {
  if (self->state.left.pending() && self->state.cluster()->has_left())
    self->state.left.deliver(shards_gone{});
}

void tick(limiter_pointer self) {
  self->state.sweep();
  self->delayed_send(self, sweep_interval, sweep_tick{});
  auto* const cluster = self->state.cluster();
  if (!cluster) return;
  cluster->tick();
  try_to_leave(self);
}

// In a cluster.
auto cluster_handlers(limiter_pointer self) {
  auto* const cluster = self->state.cluster();
  return std::tuple{
      [=](const owner_request& request) {
        cluster->decide(request, sender_as<limiter_handle>(self));
      },
      [=](const owner_reply& reply) { cluster->on_reply(reply, sender_as<limiter_handle>(self)); },
      [=](const leases_returned& returned) {
        const returns_taken done = cluster->take_back(returned);
        if (done.token != 0) self->send(sender_as<limiter_handle>(self), done);
      },
      [=](const returns_taken& done) {
        cluster->on_returns_taken(done);
        try_to_leave(self);
      },
      [=](retry_queries) { cluster->on_retry_timer(); },
      [=](const placement_changed& change) { cluster->on_placement(change.to); },
      [=](const shard_rows& rows) { cluster->on_rows(rows, sender_as<limiter_handle>(self)); },
      [=](const shard_taken& done) {
        cluster->on_taken(done);
        try_to_leave(self);
      },
      [=](const backup_rows& rows) {
        cluster->on_backup_rows(rows);
        return backup_taken{};
      },
      [=](const backup_taken&) {
        cluster->on_backup_taken(caf::actor_cast<caf::actor_addr>(self->current_sender()));
      },
      [=](const peer_up& peer) { cluster->on_peer_up(peer); },
      [=](const peer_down& peer) { cluster->on_peer_down(peer); },
      [=](const member_epoch& update) { cluster->on_member_epoch(update.member, update.epoch); },
      [=](leave_shards) -> caf::result<shards_gone> {
        self->state.left = self->make_response_promise();
        const auto promise = self->state.left;
        try_to_leave(self);
        return promise;
      },
  };
}

} // namespace

limiter_self::behavior_type limiter(limiter_pointer self, limiter_parts parts) {
  self->state.start(std::move(parts), self);
  self->delayed_send(self, sweep_interval, sweep_tick{});
  if (self->state.counters()) self->delayed_send(self, save_interval, save_tick{});
  std::tuple own{
      [self](const admit_request& request) {
        return self->state.decide(request, sender_as<front_end_handle>(self));
      },
      [self](const limits_query& query) { return look_up(self, query); },
      [self](const plans_changed& change) { self->state.change_plans(change.plans); },
      [self](sweep_tick) { tick(self); },
      [self](save_tick) {
        save(self);
        self->delayed_send(self, save_interval, save_tick{});
      },
      [self](counters_saved) { self->state.end_save(); },
      [self](drain) {
        self->state.drained = self->make_response_promise();
        self->set_default_handler(ignore_message); // who asks now is asking too late
        self->become(partial_behavior<limiter_self>(std::tuple{[self](counters_saved) {
          self->state.end_save();
          finish(self);
        }}));
        finish(self);
        return caf::result<drained>{self->state.drained};
      },
  };
  if (!self->state.cluster()) return partial_behavior<limiter_self>(std::move(own));
  return whole_behavior<limiter_self>(std::move(own), cluster_handlers(self));
}

} // namespace penstock
