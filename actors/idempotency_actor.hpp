// The actor that tells a first request from a repeat, for its share of the keys.
#pragma once

#include "actors/claims.hpp"
#include "actors/idempotency_index.hpp"
#include "actors/metrics.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <chrono>
#include <functional>
#include <memory>
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
};

/// So many requests wait for the outcome of one other; more are told to come again.
inline constexpr std::size_t max_waiters_per_key = 256;
inline constexpr std::chrono::milliseconds expiry_interval{100};
inline constexpr std::size_t expiry_visits = 4096;

class idempotency_state {
 public:
  static constexpr const char* name = "idempotency"; // CAF shows it
  using self_ptr = caf::stateful_actor<idempotency_state>*;
  explicit idempotency_state(self_ptr self) : self_(self) {}

  void start(std::shared_ptr<idempotency_index> index, std::function<std::int64_t()> wall_ms,
             std::shared_ptr<idempotency_metrics> metrics);
  claim_reply claim(const claim_request& request, const caf::strong_actor_ptr& from);
  void settle(const claims_settled& news);
  void expire();

 private:
  struct waiter {
    caf::strong_actor_ptr who;
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

  claim_verdict claim(const claim_item& item, std::uint64_t token,
                      const caf::strong_actor_ptr& from, std::int64_t now_ms);

  self_ptr self_;
  std::shared_ptr<idempotency_index> index_;
  std::function<std::int64_t()> wall_ms_;
  std::shared_ptr<idempotency_metrics> metrics_;
  /// Keys whose first request is under way: bounded by what front ends have in flight.
  boost::unordered_flat_map<idempotency_key, first_request, hash> under_way_;
};

/// Takes claim_request (answered with claim_reply) and claims_settled; quits at `drain`. It only
/// computes: host it where its callers run.
caf::behavior idempotency_actor(caf::stateful_actor<idempotency_state>* self,
                                std::shared_ptr<idempotency_index> index,
                                std::function<std::int64_t()> wall_ms,
                                std::shared_ptr<idempotency_metrics> metrics);

} // namespace penstock
