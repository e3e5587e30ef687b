#include "actors/limiter/limiter_cluster.hpp"

#include <algorithm>
#include <bitset>
#include <random>

namespace penstock {

limiter_cluster::limiter_cluster(limiter_cluster_parts parts, tools with)
    : context_{std::move(parts), with.self, with.ledger, std::move(with.clock)},
      table_(context_.parts),
      granter_(*context_.ledger, max_granted_leases,
               context_.parts.series != 0 ? context_.parts.series : std::random_device{}()),
      backup_(context_, std::move(with.decide), table_, granter_),
      returns_(context_, table_, granter_), owner_(context_, table_, granter_, backup_),
      copies_(context_, table_), mover_(context_, table_, granter_, backup_, owner_, copies_),
      client_(context_, table_, backup_, returns_) {
  if (context_.parts.places) on_placement(context_.parts.places);
}

limiter_handle limiter_cluster::whom_to_ask(const limits_query& query, bool& reached) const {
  const std::uint32_t shard = shard_of(query.client);
  reached = true;
  if (query.passed_on || table_.owner_of(shard) == table_.self()) return {};
  if (const limiter_handle* const to = table_.limiter_of(table_.owner_of(shard), shard)) return *to;
  reached = context_.parts.on_unreachable == unreachable_policy::local;
  return {};
}

// -- members and shards ---------------------------------------------------------------------------

void limiter_cluster::on_placement(const placement_ptr& to) {
  const placement_ptr before = table_.change_view(to, context_.parts.steady_ns());
  const bool has_backup = std::ranges::any_of(
      to->shards, [](const shard_place& each) { return each.backup != no_member; });
  context_.ledger->inform_backup(has_backup);
  granter_.note_changes(has_backup);
  owner_.note_dead(before.get());
  leave_lost_view(before.get());
  mover_.place_all(before.get());
  tell_new_backups(before.get());
  owner_.reclaim();
  mover_.send();
  returns_.send();
  client_.retry_queries();
  backup_.back_up();
  show();
}

// A node that was taken out, or may have been meanwhile, has no right to what it was leased.
void limiter_cluster::leave_lost_view(const placement* before) {
  if (!table_.view().includes_self) {
    client_.forget_leases();
    granter_.forget_all(context_.clock());
  } else if (before && before->epoch + 1 < table_.epoch()) {
    client_.return_all();
  }
}

void limiter_cluster::tell_new_backups(const placement* before) {
  std::bitset<shard_count> changed;
  for (std::uint32_t shard = 0; shard < shard_count; ++shard)
    changed[shard] = table_.role_of(shard) == shard_role::own &&
                     (!before || before->shards[shard].backup != table_.backup_of(shard));
  backup_.tell_anew(changed);
}

void limiter_cluster::on_rows(const shard_rows& rows, const limiter_handle& from) {
  const auto role = mover_.on_rows(rows, from);
  if (!role) return;
  if (*role != shard_role::foreign) client_.retry_queries();
  show();
}

void limiter_cluster::on_taken(const shard_taken& done) {
  mover_.on_taken(done);
  if (mover_.has_sent_all()) show();
}

void limiter_cluster::on_backup_taken(const caf::actor_addr& from) {
  if (backup_.on_taken(from)) client_.retry_after_backup();
}

void limiter_cluster::on_peer_up(const peer_up& update) {
  table_.peer_is_up(update);
  if (!table_.has_view()) return;
  std::bitset<shard_count> to_tell;
  for (std::uint32_t shard = 0; shard < shard_count; ++shard)
    to_tell[shard] =
        table_.role_of(shard) == shard_role::own && table_.backup_of(shard) == update.member;
  backup_.tell_anew(to_tell);
  mover_.send();
  returns_.send();
  client_.retry_queries();
}

void limiter_cluster::on_peer_down(const peer_down& update) {
  backup_.lose(table_.peer_is_down(update.member));
  returns_.lose(update.member);
  mover_.lose(update.member);
  client_.lose(update.member);
}

bool limiter_cluster::has_left() {
  client_.return_all();
  return mover_.leaving() == 0 && returns_.are_all_taken() &&
         table_.count(shard_role::foreign) == shard_count;
}

// -- upkeep ---------------------------------------------------------------------------------------

void limiter_cluster::tick() {
  const std::int64_t steady_ns = context_.parts.steady_ns();
  client_.end_late_queries();
  client_.serve_awaiting();
  if (mover_.end_late(steady_ns)) client_.retry_queries();
  backup_.withhold_leases(steady_ns - max_lease_delay_ns);
  client_.return_unneeded(steady_ns);
  returns_.forget(steady_ns);
  returns_.send();
  granter_.collect(context_.clock());
  copies_.collect();
  owner_.reclaim();
  backup_.back_up();
  show();
}

void limiter_cluster::show() {
  limiter_cluster_metrics& metrics = *context_.parts.metrics;
  metrics.owned_shards.set(table_.count(shard_role::own));
  metrics.waiting_shards.set(table_.count(shard_role::arriving));
  metrics.leaving_shards.set(static_cast<std::int64_t>(mover_.leaving()));
  if (metrics.waiting_shards.value() == 0 && mover_.has_sent_all())
    metrics.settled_epoch.set(static_cast<std::int64_t>(table_.epoch()));
  metrics.held_requests.set(client_.waiting_items());
  metrics.leased_units.set(static_cast<std::int64_t>(client_.leased_units()));
  metrics.unsent_units.set(static_cast<std::int64_t>(backup_.unconfirmed()));
}

} // namespace penstock
