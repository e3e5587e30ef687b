// What requests with idempotency keys are told.
#pragma once

#include "net/ingest/responder.hpp"
#include "net/ingest/served_rules.hpp"
#include "net/ingest/turn_batch.hpp"

namespace penstock {

/// For requests whose claims are all settled. Not synchronised.
class claim_answers {
 public:
  /// All outlive it.
  claim_answers(lane_context& lane, const served_rules& rules, responder& answers)
      : lane_(lane), rules_(rules), responder_(answers) {}

  /// To the client.
  void answer_claimed(waiting_request& r, const request_details& details);
  /// To the node that forwarded the request.
  void answer_origin(const waiting_request& r, const request_claims& claims);

 private:
  void answer_one_claim(waiting_request& r, const request_details& details);
  void answer_each_claim(waiting_request& r, const request_details& details);

  lane_context& lane_;
  const served_rules& rules_;
  responder& responder_;
};

} // namespace penstock
