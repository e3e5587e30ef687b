#include "actors/limiter/shard_copies.hpp"

namespace penstock {

void shard_copies::on_rows(const backup_rows& rows) {
  const std::int64_t now_ns = context_.clock();
  const auto is_own = [this](std::uint64_t client) { return table_.owns(client); };
  for (const counter_row& row : rows.rows)
    if (!is_own(row.client)) context_.ledger->restore(row, now_ns, saved_[shard_of(row.client)]);
  for (const moved_lease& lease : with_origins(rows.leases, rows.origins))
    if (!is_own(lease.client)) leases_.add(lease, now_ns);
  for (const std::uint64_t lease : rows.ended)
    leases_.end(lease);
  for (const std::uint32_t shard : rows.whole)
    if (shard < shard_count && table_.is_mine(shard) && table_.role_of(shard) != shard_role::own)
      whole_.set(shard);
}

bool shard_copies::has_whole(std::uint32_t shard, const placement* before) const {
  if (whole_[shard]) return true;
  if (!before) return false;
  const std::uint32_t version = table_.version_of(before->shards[shard].owner);
  return version != 0 && version < whole_wire_version;
}

} // namespace penstock
