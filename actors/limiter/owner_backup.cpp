#include "actors/limiter/owner_backup.hpp"

#include <algorithm>

namespace penstock {

// -- decisions ------------------------------------------------------------------------------------

limit_ledger::decision owner_backup::decide(const limit_ledger::location& at,
                                            const admit_item& item,
                                            std::span<const std::uint32_t> sizes,
                                            std::int64_t now_ns) {
  auto decided = decide_(at, item, sizes, now_ns);
  PENSTOCK_ASSERT(decided.answer.granted <= item.events);
  if (table_.backup_of(shard_of(item.client)) != no_member)
    unconfirmed_.add(item.client, decided.answer.granted);
  return decided;
}

// A crash would admit again what the backup does not know: so much of a client's limit, and the
// request that passes it.
bool owner_backup::is_at_bound(const admit_item& item) {
  const std::uint64_t units = unconfirmed_.of(item.client);
  if (units < min_unconfirmed_units || !has_backup(item.client)) return false;
  const plan* const rules = context_.ledger->rules_of(item.plan);
  return rules && units >= least_units(*rules, item.limits) / unconfirmed_part;
}

// -- streaming ------------------------------------------------------------------------------------

void owner_backup::tell_anew(std::uint32_t shard) {
  PENSTOCK_ASSERT(table_.role_of(shard) == shard_role::own);
  context_.ledger->mark_shard(shard, client_table::reader::backup);
  whole_due_.set(shard);
}

void owner_backup::tell_anew(const std::bitset<shard_count>& shards) {
  for (std::uint32_t shard = 0; shard < shard_count; ++shard)
    if (shards[shard]) tell_anew(shard);
  granter_.mark_shards(shards);
}

void owner_backup::back_up() {
  const std::size_t most = more_to_back_up_ ? 1 : max_backups_under_way;
  if (backups_.size() >= most || !table_.has_view()) return;
  constexpr auto reader = client_table::reader::backup;
  if (!context_.ledger->has_changed(reader) && whole_due_.none()) return;
  backup next;
  next.charged = unconfirmed_.take_unsent(
      [this](std::uint64_t client) { return !table_.owns(client) || has_backup(client); });
  messages_by_limiter messages;
  const auto rows = context_.ledger->take_changed(max_backup_rows, context_.clock(), reader);
  more_to_back_up_ = rows.size() >= max_backup_rows;
  add_rows(messages, rows);
  next.has_all = !more_to_back_up_;
  if (next.has_all) {
    add_lease_changes(messages); // the rows are there then
    add_whole_shards(messages);
  }
  for (auto& [to, message] : messages) {
    context_.parts.metrics->backup_rows_sent.add(message.rows.size());
    next.asked.push_back(to->address());
    context_.self->send(*to, std::move(message));
  }
  if (next.asked.empty()) return unconfirmed_.confirm(next.charged);
  next.number = ++last_backup_;
  backups_.push_back(std::move(next));
}

void owner_backup::add_rows(messages_by_limiter& to, const std::vector<counter_row>& rows) {
  for (const auto& row : rows) {
    const std::uint32_t shard = shard_of(row.client);
    if (table_.role_of(shard) != shard_role::own) continue;
    // Who is out of reach is told all when it is back.
    if (const limiter_handle* const limiter = table_.backup_limiter(shard))
      to[limiter].rows.push_back(row);
  }
}

void owner_backup::add_lease_changes(messages_by_limiter& to) {
  for (const lease_change& each : granter_.take_changed()) {
    const std::uint32_t shard = shard_of(each.client);
    const limiter_handle* const limiter = table_.backup_limiter(shard);
    if (table_.role_of(shard) != shard_role::own || !limiter ||
        table_.version_of(table_.backup_of(shard)) < settlements_wire_version)
      continue;
    backup_rows& message = to[limiter];
    message.version = std::max<std::uint8_t>(message.version, settlements_wire_version);
    if (auto lease = granter_.look_up(each.lease, context_.clock())) {
      message.origins.push_back(lease->origin);
      message.leases.push_back(std::move(*lease));
    } else {
      message.ended.push_back(each.lease);
    }
  }
}

// All that is known of them is in this message and those before. Who is not in reach is told when
// it is back.
void owner_backup::add_whole_shards(messages_by_limiter& to) {
  if (whole_due_.none()) return;
  for (std::uint32_t shard = 0; shard < shard_count; ++shard) {
    if (!whole_due_[shard] || table_.role_of(shard) != shard_role::own) continue;
    const limiter_handle* const limiter = table_.backup_limiter(shard);
    if (!limiter || table_.version_of(table_.backup_of(shard)) < whole_wire_version) continue;
    backup_rows& message = to[limiter];
    message.version = whole_wire_version;
    message.whole.push_back(shard);
  }
  whole_due_.reset();
}

bool owner_backup::on_taken(const caf::actor_addr& from) {
  // Each confirms in order.
  const auto first = std::ranges::find_if(
      backups_, [&](const backup& each) { return std::ranges::count(each.asked, from) != 0; });
  if (first == backups_.end()) return false;
  std::erase(first->asked, from);
  confirm();
  if (more_to_back_up_ || is_due()) back_up();
  return true;
}

void owner_backup::lose(const std::vector<limiter_handle>& limiters) {
  for (backup& each : backups_)
    for (const limiter_handle& limiter : limiters)
      std::erase(each.asked, limiter.address());
  confirm();
}

void owner_backup::confirm() {
  while (!backups_.empty() && backups_.front().asked.empty()) {
    backup& sure = backups_.front();
    PENSTOCK_ASSERT(sure.number > confirmed_backup_);
    PENSTOCK_ASSERT(sure.number <= last_backup_);
    sent_charges_.insert(sent_charges_.end(), sure.charged.begin(), sure.charged.end());
    if (sure.has_all) {
      confirmed_backup_ = sure.number;
      for (const auto& each : sent_charges_)
        context_.parts.metrics->backup_units.add(each.units);
      unconfirmed_.confirm(sent_charges_);
      sent_charges_.clear();
    }
    backups_.pop_front();
  }
  release_replies();
}

// -- answers --------------------------------------------------------------------------------------

void owner_backup::answer(const limiter_handle& to, owner_reply reply, bool waits) {
  const std::uint64_t next_backup = last_backup_ + 1;
  if (waits || is_due()) back_up();
  if (waits)
    held_replies_.push_back({to, std::move(reply), next_backup, context_.parts.steady_ns()});
  else
    context_.self->send(to, std::move(reply));
}

void owner_backup::release_replies() {
  std::erase_if(held_replies_, [this](held_reply& each) {
    if (each.backup > confirmed_backup_) return false;
    context_.self->send(each.to, std::move(each.reply));
    return true;
  });
}

// The verdicts are needed now; leases were never told of and so can't have been spent.
void owner_backup::withhold_leases(std::int64_t since_ns) {
  std::erase_if(held_replies_, [&](held_reply& each) {
    if (each.since_ns > since_ns) return false;
    std::erase_if(each.reply.leases, [this](const lease_answer& lease) {
      if (lease.units == 0) return false;
      (void)granter_.take_back({lease.lease, lease.units}, context_.clock());
      context_.parts.metrics->leases_withheld.add();
      return true;
    });
    context_.self->send(each.to, std::move(each.reply));
    return true;
  });
}

} // namespace penstock
