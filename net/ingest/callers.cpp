#include "net/ingest/callers.hpp"

#include "net/base/retry_after.hpp"
#include "net/http/front_end_metrics.hpp"

#include <string>

namespace penstock {

namespace {

// Why an API key may not be used for a request.
std::optional<problem> problem_of(restriction why) {
  switch (why) {
  case restriction::none:
    return std::nullopt;
  case restriction::expired:
    return problem{401, "This API key has expired."};
  case restriction::network:
    return problem{403, "This API key may not be used from this address."};
  case restriction::origin:
    return problem{403, "This API key may not be used from this Referer, or from none."};
  case restriction::stream:
    return problem{403, "This API key may not be used for this stream."};
  }
  return std::nullopt;
}

} // namespace

identity callers::identify(const session& from, const request_parser& parser) const {
  return identify_.identify(parser.head(), from.peer(), from.peer_trusted(), from.peer_client(),
                            rules_.access());
}

// Before a key is looked at and anything is charged. A network that is denied stays out with a key,
// too; so does a denied account with each of its keys.
std::optional<problem> callers::barred(const identity& who) {
  const auto& overrides = rules_.rules().overrides;
  const bool known = who.result == identity::outcome::known;
  if (!overrides.empty() &&
      (overrides.denies(who.address) || (known && overrides.denies(who.client)))) {
    lane_.metrics.count(bar_reason::denied);
    return problem{403, "This node takes nothing from this client."};
  }
  if (known && !who.key && identify_.refuses_anonymous()) {
    lane_.metrics.count(bar_reason::anonymous);
    return problem{401, "This node takes requests with an API key only."};
  }
  return std::nullopt;
}

// What a key may not do is answered here, before anything is asked or charged.
std::optional<caller> callers::find(session& from, const request_parser& parser,
                                    std::optional<std::string_view> stream) {
  caller result;
  auto& who = result.who;
  who = identify(from, parser);
  if (auto why = barred(who)) {
    responder_.answer_now(from, parser, *why);
    return std::nullopt;
  }
  if (who.result != identity::outcome::known) {
    unsigned status = who.result == identity::outcome::unknown_key ? 401 : 400;
    responder_.answer_now(from, parser, {status, std::string{who.detail}});
    return std::nullopt;
  }
  if (who.key) {
    auto why = may_use(*who.key, stream, origin_of(parser.head()[request_field::referer]),
                       who.address, lane_.wall_time_ms());
    if (auto refused = problem_of(why)) {
      responder_.answer_now(from, parser, *refused);
      return std::nullopt;
    }
  }
  auto plan = who.key ? std::optional{who.key->plan_id} : std::nullopt;
  if (!rules_.rules().overrides.empty())
    if (auto other =
            rules_.rules().overrides.find(who.client, who.by_address ? &who.address : nullptr))
      plan = other;
  result.plan = plan ? rules_.plans()->find(*plan) : &rules_.plans()->anonymous();
  if (result.plan) return result;
  // A key may come from another node sooner than its plan.
  lane_.metrics.count(shed_reason::unknown_plan);
  responder_.answer_now(from, parser, {503, "The client's plan is not known to this node yet."},
                        retry_when_unavailable_s);
  return std::nullopt;
}

bool callers::refuse_early(session& from, const request_parser& parser) {
  if (rules_.rules().overrides.empty() && !identify_.refuses_anonymous()) return false;
  const auto why = barred(identify(from, parser));
  if (why) responder_.answer_and_close(from, *why);
  return why.has_value();
}

} // namespace penstock
