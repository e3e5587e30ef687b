// Messages of a limiter to itself and to those of its node: never serialised.
#pragma once

#include "actors/base/compat.hpp"
#include "storage/stores/counter_store.hpp"

#include <memory>
#include <vector>

namespace penstock {

/// What clients used since the limiter told last, of limits that survive a restart, and which
/// shards went to another node or came from one. Answered with counters_saved when it is durable.
struct counters_changed {
  std::shared_ptr<const std::vector<counter_row>> rows;
  std::vector<shard_mark> marks{};
};
struct counters_saved {};

/// A limiter's timer: have saved what changed.
struct save_tick {};

/// A limiter's timer: forget idle clients.
struct sweep_tick {};

/// A limiter's timer: queries that wait for an owner are sent again.
struct retry_queries {};

} // namespace penstock

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::counters_changed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::counters_saved)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::save_tick)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::sweep_tick)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::retry_queries)

CAF_BEGIN_TYPE_ID_BLOCK(penstock_limiter, caf::first_custom_type_id + 11)
CAF_ADD_TYPE_ID(penstock_limiter, (penstock::counters_changed))
CAF_ADD_TYPE_ID(penstock_limiter, (penstock::counters_saved))
CAF_ADD_TYPE_ID(penstock_limiter, (penstock::save_tick))
CAF_ADD_TYPE_ID(penstock_limiter, (penstock::sweep_tick))
CAF_ADD_TYPE_ID(penstock_limiter, (penstock::retry_queries))
CAF_END_TYPE_ID_BLOCK(penstock_limiter)
