#include "cli/node/idempotency_keys.hpp"

#include "actors/base/shards.hpp"
#include "net/base/wall_time.hpp"
#include "storage/journal/idempotency_rows.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace penstock {

result<void> idempotency_keys::start() {
  const auto& settings = core_.settings.idempotency;
  if (settings.max_keys == 0) return {};
  store_report found;
  auto opened = idempotency_store::open(core_.settings.data_dir, storage_.events()->tag(),
                                        default_idempotency_reserve_bytes, {}, &found);
  storage_.tell_damage(found);
  if (!opened) return opened.error();
  kept_ = std::move(*opened);
  const auto lanes = sockets_.count();
  const auto share = std::max<std::uint64_t>(1, settings.max_keys / lanes);
  for (std::size_t i = 0; i < lanes; ++i)
    indexes_.push_back(std::make_shared<idempotency_index>(share, settings.window_ms.count()));
  const auto now_ms = wall_ms();
  const auto since_ms = now_ms - settings.window_ms.count();
  std::size_t count = 0;
  const auto add = [&](const idempotency_record& record) {
    indexes_[shard_of(record.key.high) % lanes]->restore(record, now_ms);
    ++count;
  };
  if (auto read = kept_->visit(since_ms, add); !read) return read;
  for (const auto& segment : storage_.events()->catalog()->list()) {
    if (segment.keys == 0 || segment.last_time_ms < since_ms) continue;
    if (auto read = visit_records(segment.path, since_ms, add); !read) {
      if (read.error().code != errc::corrupt) return read;
      spdlog::error("journal: idempotency keys can't be read: {}", read.error().message);
    }
  }
  if (count > 0)
    spdlog::info("idempotency: {} keys of the last {} s, read in {} ms", count,
                 settings.window_ms.count() / 1000, wall_ms() - now_ms);
  return {};
}

void idempotency_keys::read_held(const replica_store& store) const {
  if (indexes_.empty()) return;
  const auto now_ms = wall_ms();
  const auto since_ms = now_ms - core_.settings.idempotency.window_ms.count();
  for (const auto& held : store.list()) {
    const auto add = [&](const idempotency_record& record) {
      indexes_[shard_of(record.key.high) % indexes_.size()]->take_in(record, held.tag, now_ms);
    };
    for (const auto& segment : store.catalog(held.tag)->list()) {
      if (segment.keys == 0 || segment.last_time_ms < since_ms) continue;
      if (auto read = visit_records(segment.path, since_ms, add); !read)
        spdlog::error("replicas: idempotency keys can't be read: {}", read.error().message);
    }
  }
}

std::shared_ptr<idempotency_index> idempotency_keys::index(std::size_t lane) const {
  return lane < indexes_.size() ? indexes_[lane] : nullptr;
}

} // namespace penstock
