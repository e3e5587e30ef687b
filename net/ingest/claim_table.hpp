// Requests under way whose idempotency keys were claimed.
#pragma once

#include "net/ingest/turn_batch.hpp"
#include "storage/base/assert.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace penstock {

/// Of a batch whose keys were claimed.
inline request_claims& claims_of(turn_batch& batch) {
  return *batch.details[batch.requests[0].details].claims;
}

/// By claim_token. A batch is parked here while its claims are decided or waited for; in between it
/// travels on the path of the others, and is still found. Bounded by connections and pipelines. Not
/// synchronised.
class claim_table {
 public:
  bool empty() const { return batches_.empty(); }
  bool contains(std::uint64_t token) const { return batches_.contains(token); }

  void add(std::unique_ptr<turn_batch> batch) {
    const auto token = batch->claim_token;
    auto* here = batch.get();
    batches_.emplace(token, claimed_batch{here, std::move(batch)});
  }
  /// Null: its request was answered.
  turn_batch* find(std::uint64_t token) {
    const auto found = batches_.find(token);
    return found == batches_.end() ? nullptr : found->second.batch;
  }
  /// A parked one goes on.
  std::unique_ptr<turn_batch> take(std::uint64_t token) {
    const auto found = batches_.find(token);
    PENSTOCK_ASSERT(found != batches_.end() && found->second.parked);
    return std::move(found->second.parked);
  }
  /// One that was taken comes back.
  void park(std::unique_ptr<turn_batch> batch) {
    const auto found = batches_.find(batch->claim_token);
    PENSTOCK_ASSERT(found != batches_.end() && !found->second.parked);
    found->second.parked = std::move(batch);
  }
  /// Its request is answered.
  void erase(std::uint64_t token) {
    [[maybe_unused]] const auto erased = batches_.erase(token);
    PENSTOCK_ASSERT(erased == 1);
  }
  template <class Wanted>
  std::vector<std::uint64_t> tokens_if(Wanted wanted) const {
    std::vector<std::uint64_t> tokens;
    for (const auto& [token, one] : batches_)
      if (wanted(claims_of(*one.batch))) tokens.push_back(token);
    return tokens;
  }

 private:
  struct claimed_batch {
    turn_batch* batch = nullptr;
    std::unique_ptr<turn_batch> parked;
  };
  boost::unordered_flat_map<std::uint64_t, claimed_batch> batches_;
};

} // namespace penstock
