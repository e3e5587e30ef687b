// The keys of requests that the node remembers: an index a lane, and what is kept beside the
// journal.
#pragma once

#include "actors/idempotency/idempotency_index.hpp"
#include "cli/node/ingest_sockets.hpp"
#include "cli/node/storage_unit.hpp"
#include "cli/node/unit.hpp"
#include "storage/journal/idempotency_store.hpp"
#include "storage/journal/replica_store.hpp"

#include <memory>
#include <string_view>
#include <vector>

namespace penstock {

/// Fills the indexes of the lanes with the keys that the journal still tells of. Nothing when
/// idempotency.max_keys is 0.
class idempotency_keys final : public unit {
 public:
  idempotency_keys(node_core& core, storage_unit& storage, const ingest_sockets& sockets)
      : core_(core), storage_(storage), sockets_(sockets) {}

  std::string_view name() const override { return "idempotency keys"; }
  result<void> start() override;

  /// Null: no keys are remembered.
  std::shared_ptr<idempotency_index> index(std::size_t lane) const;
  /// Adds the keys of events that are held for other nodes. Before the lanes' actors have the
  /// indexes.
  void read_held(const replica_store& store) const;
  const std::shared_ptr<idempotency_store>& kept() const { return kept_; }

 private:
  node_core& core_;
  storage_unit& storage_;
  const ingest_sockets& sockets_;
  std::shared_ptr<idempotency_store> kept_;
  std::vector<std::shared_ptr<idempotency_index>> indexes_; // one a lane
};

} // namespace penstock
