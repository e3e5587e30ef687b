// A front end whose idempotency indexes the test plays.
#pragma once

#include "tests/unit/net/ingest/front_end_support.hpp"

namespace penstock {

class claims_fixture : public front_end_fixture {
 public:
  claims_fixture() { begin({}); }

  void begin(front_end_options options) {
    options.with_keys = true;
    start(options);
  }

  /// What either index was asked, with the index's place.
  std::optional<claim_request> claimed() {
    claim_request out;
    if (take(index_0, out) || take(index_1, out)) return out;
    return std::nullopt;
  }
  /// Answers all items of a question alike.
  void verdicts(const std::optional<claim_request>& to, claim_verdict what) {
    REQUIRE(to);
    claim_reply reply{to->token, {}};
    for (auto& item : to->items) {
      what.index = item.index;
      reply.verdicts.push_back(what);
    }
    tell(reply);
  }
  void fresh(const std::optional<claim_request>& to) {
    verdicts(to, {.state = claim_state::fresh});
  }
  std::vector<claim_outcome> settled() {
    std::vector<claim_outcome> out;
    claims_settled update;
    while (take(index_0, update) || take(index_1, update))
      out.insert(out.end(), update.outcomes.begin(), update.outcomes.end());
    return out;
  }
  static std::string keyed(std::string_view key, std::string_view body,
                           std::string_view more = "") {
    return event(client_for(0), body, "/v1/events",
                 "Idempotency-Key: " + std::string{key} + "\r\n" + std::string{more});
  }
  static std::string cloud_batch(std::initializer_list<std::string_view> ids) {
    std::string body = "[";
    for (auto id : ids) {
      if (body.size() > 1) body += ',';
      body += R"({"specversion":"1.0","type":"t","source":"s","id":")" + std::string{id} + "\"}";
    }
    return event(client_for(0), body + "]", "/v1/events",
                 "Content-Type: application/cloudevents-batch+json\r\n"
                 "Prefer: return=representation\r\n");
  }
};

} // namespace penstock
