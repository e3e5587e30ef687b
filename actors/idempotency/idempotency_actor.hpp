// The actor that tells a first request from a repeat, for its share of the keys.
#pragma once

#include "actors/base/metrics.hpp"
#include "actors/base/shards.hpp"
#include "actors/idempotency/claim_messages.hpp"
#include "actors/idempotency/idempotency_index.hpp"
#include "actors/idempotency/key_moves.hpp"
#include "actors/interfaces/interfaces.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace penstock {

/// What one of them counts.
struct alignas(64) idempotency_metrics {
  counter fresh;
  counter repeats;   ///< answered from the record
  counter waited;    ///< repeats that came while the first was under way
  counter conflicts; ///< the same key with other content
  gauge keys;
  gauge bytes;
  counter moved_away;       ///< keys sent to who owns their shard now
  counter moved_here;       ///< and taken from who knew them
  counter moves_incomplete; ///< shards whose keys did not come in time
  gauge arriving;           ///< shards whose keys are on their way here
  gauge parked;             ///< requests that wait for them
};

/// So many requests wait for the outcome of one other; more are told to come again.
inline constexpr std::size_t max_waiters_per_key = 256;
/// So many wait for the keys of shards that are on their way here, and no longer than that takes.
inline constexpr std::size_t max_parked_claims = 4096;
inline constexpr std::chrono::milliseconds expiry_interval{100};
inline constexpr std::size_t expiry_visits = 4096;

struct idempotency_parts {
  std::shared_ptr<idempotency_index> index;
  std::function<std::int64_t()> wall_ms;
  std::shared_ptr<idempotency_metrics> metrics;
  std::optional<key_moves_parts> cluster{}; ///< nothing: all keys are this node's, for ever
};

/// With its own reminders.
using idempotency_self =
    idempotency_handle::extend<caf::reacts_to<expiry_tick>, caf::reacts_to<move_keys>>;

class idempotency_state {
 public:
  static constexpr const char* name = "idempotency"; // CAF shows it
  using self_ptr = idempotency_self::stateful_pointer<idempotency_state>;
  explicit idempotency_state(self_ptr self) : self_(self) {}

  void start(idempotency_parts parts);
  /// Answers, now or when it is known whose the keys are.
  void take(const claim_request& request, const front_end_handle& from);
  void settle(const claims_settled& update);
  void tick();

  /// In a cluster; else null.
  key_moves* moves() { return moves_ ? &*moves_ : nullptr; }
  /// After anything that may have moved a shard, or a piece of one.
  void go_on();
  void try_to_leave();

  caf::response_promise left; ///< pending while the node leaves

 private:
  struct waiter {
    front_end_handle who;
    std::uint64_t token;
    std::uint32_t index;
  };
  struct first_request {
    std::uint64_t content = 0;
    std::vector<waiter> waiters;
  };
  struct hash {
    std::size_t operator()(const idempotency_key& key) const { return key.low; }
  };

  struct parked_claim {
    claim_request request;
    front_end_handle from;
    std::int64_t since_ns;
  };

  key_moves::standing standing_of(const claim_request& request) const;
  claim_reply decide(const claim_request& request, const front_end_handle& from);
  claim_verdict claim(const claim_item& item, std::uint64_t token, const front_end_handle& from,
                      std::int64_t now_ms);
  void refuse(const claim_request& request, const front_end_handle& from);
  void take_parked();
  void show();

  self_ptr self_;
  idempotency_parts parts_;
  std::optional<key_moves> moves_;
  std::deque<parked_claim> parked_;
  std::array<std::uint32_t, shard_count> under_way_in_{}; // of under_way_, by shard
  /// Keys whose first request is under way: bounded by what front ends have in flight.
  boost::unordered_flat_map<idempotency_key, first_request, hash> under_way_;
};

/// Takes claim_request (answered with claim_reply) and claims_settled; in a cluster also
/// placement_changed, peer_up, peer_down, key_rows and leave_shards. Quits at `drain`. It only
/// computes: host it where its callers run.
idempotency_self::behavior_type
idempotency_actor(idempotency_self::stateful_pointer<idempotency_state> self,
                  idempotency_parts parts);

} // namespace penstock
