// What each request counts for, from its head to the usage actor.
#pragma once

#include "actors/interfaces/interfaces.hpp"
#include "actors/usage/usage_messages.hpp"
#include "actors/usage/usage_tally.hpp"
#include "net/clients/identity.hpp"
#include "net/http/request.hpp"
#include "net/ingest/lane_context.hpp"
#include "net/ingest/turn_batch.hpp"
#include "net/ingest/usage_notes.hpp"

#include <cstdint>
#include <string_view>
#include <utility>

namespace penstock {

/// A request is noted when it comes and counted when its outcome is known; what was counted goes to
/// the usage actor once a second. Not synchronised.
class usage_recorder {
 public:
  /// `usage`: takes usage_batch_ptr; null: nothing is noted. `identify` outlives it, as does
  /// `lane`.
  usage_recorder(lane_context& lane, usage_handle usage, const identifier& identify);

  /// `stream` is empty for a request that no stream can take.
  void note(turn_batch& batch, const identity& who, const request_head& head,
            std::string_view stream);
  /// What became of requests without claims is known: called once a batch. `stored`: what was
  /// granted is.
  void count(const turn_batch& batch, bool stored);
  /// The same of a request with claims. Counted here, where the client is, also for what another
  /// node stored.
  void count_claimed(const turn_batch& batch);
  /// Once a second, and when a minute is over, so that what was counted belongs to one.
  void hand_over_if_due();
  void hand_over();

 private:
  lane_context& lane_;
  usage_handle usage_;
  const identifier& identify_;
  usage_hasher hash_;
  usage_tally tally_;
  std::int64_t since_ms_; // wall clock of the last hand-over
};

} // namespace penstock
