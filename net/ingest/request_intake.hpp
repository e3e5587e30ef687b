// POST /v1/events/{stream}: from a parsed request to an entry in the turn's batch.
#pragma once

#include "actors/limits/limit_messages.hpp"
#include "net/http/request_parser.hpp"
#include "net/http/session.hpp"
#include "net/ingest/batch_pool.hpp"
#include "net/ingest/callers.hpp"
#include "net/ingest/event_intake.hpp"
#include "net/ingest/idempotency_client.hpp"
#include "net/ingest/lane_context.hpp"
#include "net/ingest/limiter_client.hpp"
#include "net/ingest/responder.hpp"
#include "net/ingest/served_rules.hpp"
#include "net/ingest/usage_recorder.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

namespace penstock {

inline constexpr std::string_view events_path = "/v1/events";
/// What is told when a request, or what arrives of it, would exceed http.max_in_flight.
inline constexpr std::string_view too_much_under_way =
    "More is under way than this node takes at once.";

/// Sheds, identifies, checks, takes. Not synchronised.
class request_intake {
 public:
  /// `looks_at_keys`: repeats are recognised. All outlive it, as does what `events` refers to.
  request_intake(lane_context& lane, const served_rules& rules, callers& who, event_intake events,
                 limiter_client& admit, idempotency_client& claims, usage_recorder& usage,
                 batch_pool& pool, responder& answers, bool looks_at_keys)
      : lane_(lane), rules_(rules), callers_(who), events_(std::move(events)), limiters_(admit),
        claims_(claims), usage_(usage), pool_(pool), responder_(answers),
        looks_at_keys_(looks_at_keys) {}

  /// `path`: events_path, or one beneath it.
  void on_events(session& from, const request_parser& parser, std::string_view path);

 private:
  struct refusal_of_load {
    shed_reason reason;
    problem what;
    std::uint32_t retry_after_s = 0;
  };

  std::optional<refusal_of_load> overload(const session& from, const request_parser& parser,
                                          std::string_view stream) const;
  bool shed(session& from, const request_parser& parser, std::string_view stream);
  admit_item item_for(const caller& who, std::string_view path) const;
  void take(waiting_request& request, turn_batch& batch, const incoming& in,
            std::optional<problem> failure);
  waiting_request& open_request(session& from, const request_parser& parser, turn_batch& batch,
                                admit_item item, served_plan& plan);

  lane_context& lane_;
  const served_rules& rules_;
  callers& callers_;
  event_intake events_;
  limiter_client& limiters_;
  idempotency_client& claims_;
  usage_recorder& usage_;
  batch_pool& pool_;
  responder& responder_;
  bool looks_at_keys_;
};

} // namespace penstock
