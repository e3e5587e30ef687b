// What is streamed against a crash of an owner: to the node that takes over then.
#include "actors/base/shards.hpp"
#include "actors/limiter/limiter_cluster.hpp"
#include "actors/limiter/peer_messages.hpp"
#include "actors/limits/limit_messages.hpp"

#include <algorithm>
#include <map>

namespace penstock {

// -- the bound ------------------------------------------------------------------------------------

bool limiter_cluster::has_backup(std::uint64_t client) const {
  const std::uint32_t shard = shard_of(client);
  return limiter_of(places_->shards[shard].backup, shard) != nullptr;
}

void limiter_cluster::note_charge(std::uint64_t client, std::uint32_t units) {
  if (places_ && places_->shards[shard_of(client)].backup != no_member)
    unconfirmed_.add(client, units);
}

// A crash would admit again what the backup does not know: so much of a client's limit, and the
// request that passes it. A backup that can't be reached is not waited for.
bool limiter_cluster::is_at_bound(const admit_item& item) {
  const std::uint32_t units = unconfirmed_.of(item.client);
  if (units < min_unconfirmed_units || !has_backup(item.client)) return false;
  const plan* const rules = with_.ledger->rules_of(item.plan);
  return rules && units >= least_units(*rules, item.limits) / unconfirmed_part;
}

// -- telling it -----------------------------------------------------------------------------------

void limiter_cluster::back_up() {
  const std::size_t most = more_to_back_up_ ? 1 : max_backups_under_way;
  if (backups_.size() >= most || !places_) return;
  constexpr auto reader = client_table::reader::backup;
  if (!with_.ledger->has_changed(reader) && whole_due_.none()) return;
  backup next;
  next.charged = unconfirmed_.take_unsent(
      [this](std::uint64_t client) { return !owns(client) || has_backup(client); });
  std::map<const caf::actor*, backup_rows> by_member;
  const auto rows = with_.ledger->take_changed(max_backup_rows, with_.clock(), reader);
  more_to_back_up_ = rows.size() >= max_backup_rows;
  for (const auto& row : rows) {
    const std::uint32_t shard = shard_of(row.client);
    if (roles_[shard] != role::own) continue;
    // Who is out of reach is told all when it is back.
    if (const caf::actor* const to = limiter_of(places_->shards[shard].backup, shard))
      by_member[to].rows.push_back(row);
  }
  next.has_all = !more_to_back_up_;
  if (next.has_all) {
    add_lease_changes(by_member); // the rows are there then
    add_whole_shards(by_member);
  }
  for (auto& [to, message] : by_member) {
    parts_.metrics->backup_rows_sent.add(message.rows.size());
    next.asked.push_back(to->address());
    with_.self->send(*to, std::move(message));
  }
  if (next.asked.empty()) return unconfirmed_.confirm(next.charged);
  next.number = ++last_backup_;
  backups_.push_back(std::move(next));
}

void limiter_cluster::add_lease_changes(std::map<const caf::actor*, backup_rows>& by_member) {
  for (const lease_change& each : desk_.take_changed()) {
    const std::uint32_t shard = shard_of(each.client);
    const std::uint16_t member = places_->shards[shard].backup;
    const caf::actor* const to = limiter_of(member, shard);
    if (roles_[shard] != role::own || !to || peer_at(member).version < claims_wire_version)
      continue;
    backup_rows& message = by_member[to];
    message.version = std::max<std::uint8_t>(message.version, claims_wire_version);
    if (auto lease = desk_.look_up(each.lease, with_.clock())) {
      message.origins.push_back(lease->origin);
      message.leases.push_back(std::move(*lease));
    } else {
      message.ended.push_back(each.lease);
    }
  }
}

// All that is known of them is in this message and those before. Who is not in reach is told when
// it is back.
void limiter_cluster::add_whole_shards(std::map<const caf::actor*, backup_rows>& by_member) {
  if (whole_due_.none()) return;
  for (std::uint32_t shard = 0; shard < shard_count; ++shard) {
    if (!whole_due_[shard] || roles_[shard] != role::own) continue;
    const std::uint16_t member = places_->shards[shard].backup;
    const caf::actor* const to = limiter_of(member, shard);
    if (!to || peer_at(member).version < whole_wire_version) continue;
    backup_rows& message = by_member[to];
    message.version = whole_wire_version;
    message.whole.push_back(shard);
  }
  whole_due_.reset();
}

void limiter_cluster::on_backup_rows(const backup_rows& rows) {
  const std::int64_t now_ns = with_.clock();
  for (const counter_row& row : rows.rows)
    if (roles_[shard_of(row.client)] != role::own) with_.ledger->restore(row, now_ns);
  for (const moved_lease& lease : with_origins(rows.leases, rows.origins))
    if (roles_[shard_of(lease.client)] != role::own) copies_.add(lease, now_ns);
  for (const std::uint64_t lease : rows.ended)
    copies_.end(lease);
  for (const std::uint32_t shard : rows.whole)
    if (shard < shard_count && is_mine(shard) && roles_[shard] != role::own)
      whole_copies_[shard] = true;
}

void limiter_cluster::on_backup_taken(const caf::actor_addr& from) {
  // Each confirms in order.
  const auto first = std::ranges::find_if(
      backups_, [&](const backup& each) { return std::ranges::count(each.asked, from) != 0; });
  if (first == backups_.end()) return;
  std::erase(first->asked, from);
  confirm_backups();
  if (more_to_back_up_ || unconfirmed_.unsent() >= max_unsent_units) back_up();
  if (std::exchange(waits_for_backup_, false)) ask_waiting();
}

void limiter_cluster::confirm_backups() {
  while (!backups_.empty() && backups_.front().asked.empty()) {
    backup& sure = backups_.front();
    sent_charges_.insert(sent_charges_.end(), sure.charged.begin(), sure.charged.end());
    if (sure.has_all) {
      confirmed_backup_ = sure.number;
      for (const auto& each : sent_charges_)
        parts_.metrics->backup_units.add(each.units);
      unconfirmed_.confirm(sent_charges_);
      sent_charges_.clear();
    }
    backups_.pop_front();
  }
  release_replies();
}

// -- answers that wait for the backup -------------------------------------------------------------

void limiter_cluster::release_replies() {
  std::erase_if(held_replies_, [this](held_reply& each) {
    if (each.backup > confirmed_backup_) return false;
    with_.self->send(each.to, std::move(each.reply));
    return true;
  });
}

// The verdicts are needed now; leases were never told of and so can't have been spent.
void limiter_cluster::withhold_leases(std::int64_t since_ns) {
  std::erase_if(held_replies_, [&](held_reply& each) {
    if (each.since_ns > since_ns) return false;
    std::erase_if(each.reply.leases, [this](const lease_answer& lease) {
      if (lease.units == 0) return false;
      (void)desk_.take_back({lease.lease, lease.units}, with_.clock());
      parts_.metrics->leases_withheld.add();
      return true;
    });
    with_.self->send(each.to, std::move(each.reply));
    return true;
  });
}

} // namespace penstock
