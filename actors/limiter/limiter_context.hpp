// What the parts of a limiter in a cluster have in common.
#pragma once

#include "actors/base/compat.hpp"
#include "actors/base/shards.hpp"
#include "actors/cluster/cluster_settings.hpp"
#include "actors/cluster/placement.hpp"
#include "actors/interfaces/interfaces.hpp"
#include "actors/limiter/limiter_cluster_metrics.hpp"
#include "actors/limiter/limiter_messages.hpp"
#include "actors/limits/limit_ledger.hpp"

#include <atomic>
#include <bitset>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

namespace penstock {

/// With its own reminders.
using limiter_self = limiter_handle::extend<caf::reacts_to<sweep_tick>, caf::reacts_to<save_tick>,
                                            caf::reacts_to<retry_queries>>;

struct limiter_cluster_parts {
  std::uint16_t self = 0; ///< this node's number
  std::size_t lane = 0;   ///< of this limiter; shard s is with lane s % lanes
  std::size_t lanes = 1;
  unreachable_policy on_unreachable = unreachable_policy::local;
  std::chrono::milliseconds verdict_timeout_ms{500};
  placement_ptr places;                    ///< null: none yet
  std::function<std::int64_t()> steady_ns; ///< runs on while the process is stopped
  /// Until then (steady) the node may decide for its shards; null: for ever.
  /// Without it the members are a fixed list.
  std::shared_ptr<const std::atomic<std::int64_t>> decides_until_ns;
  std::uint64_t holder = 0; ///< this process, as in placement; 0: others can't know it
  std::shared_ptr<limiter_cluster_metrics> metrics;
  std::uint32_t series = 0;               ///< of its leases' numbers; 0: any, at random
  std::bitset<shard_count> saved{};       ///< rows were restored, and no other node has later ones
  std::bitset<shard_count> handed_over{}; ///< as the store has it: another node has later ones
};

/// For the parts of a limiter_cluster, which outlives them. Its actor's thread only.
struct limiter_context {
  limiter_cluster_parts parts;
  limiter_self::pointer self = nullptr;
  limit_ledger* ledger = nullptr;
  std::function<std::int64_t()> clock; ///< of limits
};

} // namespace penstock
