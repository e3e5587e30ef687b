#include "cli/node/usage_rebuild_unit.hpp"

namespace penstock {

result<void> usage_rebuild_unit::start() {
  if (!usage_.writer()) return {};
  const auto catalog = storage_.events()->catalog();
  usage_rebuilder_parts parts;
  parts.data_dir = core_.settings.data_dir;
  parts.journal = journal_reader::make(catalog);
  parts.catalog = catalog;
  parts.usage = usage_.writer();
  parts.accounts = accounts_.actor();
  parts.hash = name_hasher_of(files_.secret());
  parts.is_cluster = core_.has_peers();
  parts.begun_ms = usage_.begun_ms();
  parts.board = board_;
  parts.stopping = usage_.stopping();
  parts.max_sums = core_.settings.memory.usage_sums;
  actor_ = core_.system.spawn<caf::detached>(usage_rebuilder_actor, std::move(parts));
  return {};
}

} // namespace penstock
