#include "net/ingest/limits_endpoint.hpp"

#include "net/base/json_text.hpp"
#include "net/base/retry_after.hpp"
#include "net/base/rfc3339.hpp"
#include "net/http/front_end_metrics.hpp"

#include <algorithm>
#include <utility>

namespace penstock {

namespace {

// The stream whose limits are asked for: ?stream=NAME.
std::string_view stream_of(std::string_view query) {
  constexpr std::string_view name = "stream=";
  while (!query.empty()) {
    auto end = query.find('&');
    auto pair = query.substr(0, end);
    query = end == std::string_view::npos ? std::string_view{} : query.substr(end + 1);
    if (pair.starts_with(name)) return pair.substr(name.size());
  }
  return "default";
}

std::uint64_t amount_of(const plan& rules, const std::string& name) {
  for (auto& limit : rules.limits)
    if (limit.name == name) return limit.amount;
  return 0;
}

// What RateLimit tells: of the limits that speak, the one with the least left.
verdict tightest(const plan& rules, const std::vector<limit_status>& limits, std::int64_t now_ms) {
  verdict v;
  for (std::size_t i = 0; i < std::min(rules.limits.size(), limits.size()); ++i) {
    if (rules.limits[i].shadow || rules.limits[i].name != limits[i].name) continue;
    if (v.limit != verdict::no_limit && limits[i].remaining >= v.remaining) continue;
    v.limit = static_cast<std::uint8_t>(i);
    v.remaining = limits[i].remaining;
    auto wait_ms = std::max<std::int64_t>(0, limits[i].resets_at_ms - now_ms);
    v.reset_s =
        static_cast<std::uint32_t>(std::min<std::int64_t>((wait_ms + 999) / 1000, UINT32_MAX));
  }
  return v;
}

} // namespace

// Questions that nobody will answer: their limiter went out of reach, or it takes too long.
template <class Lost>
void limits_endpoint::answer_lost(Lost lost) {
  for (auto at = asking_.begin(); at != asking_.end();) {
    if (!lost(at->first, at->second)) {
      ++at;
      continue;
    }
    auto late = std::move(at->second);
    asking_.erase(at++);
    lane_.metrics.count(shed_reason::unreachable);
    lane_.metrics.count_status(503);
    if (late.from->generation() != late.generation) continue;
    auto& out = late.from->begin_answer(late.exchange);
    responder_.writer().error(
        out, late.context, {503, "The node that counts this client's requests can't be reached."},
        retry_when_unavailable_s);
    late.from->end_answer(late.exchange);
  }
}

void limits_endpoint::ask(session& from, const request_parser& parser, std::string_view query,
                          const caller& who, const limiter_handle& limiter) {
  const auto* key = who.who.key ? &*who.who.key : nullptr;
  const bool keep_alive = parser.keep_alive() && !from.draining();
  question one;
  one.from = &from;
  one.generation = from.generation();
  one.context.keep_alive = keep_alive;
  one.context.http_1_0 = parser.version_is_1_0();
  one.context.head_only = parser.head().method == request_method::head;
  one.context.plan = &who.plan->headers;
  if (key) one.account = key->entry->account;
  one.plan = who.plan;
  one.plans = rules_.plans();
  one.sent_ns = lane_.loop.now_ns();
  one.exchange = from.open_exchange(keep_alive);
  if (who.plan->rules.limits.empty()) return answer(one, {});
  limits_query to_ask{lane_.take_token(), who.who.client, key ? key->key_client : 0,
                      who.plan->charges.plan(), stream_id(stream_of(query))};
  asking_.emplace(to_ask.token, std::move(one));
  lane_.self->send(limiter, to_ask);
}

void limits_endpoint::on_reply(const limits_reply& reply) {
  auto found = asking_.find(reply.token);
  if (found == asking_.end()) return; // it came after its timeout
  if (!reply.reached)
    return answer_lost([&](std::uint64_t asked, auto&) { return asked == reply.token; });
  auto asked_for = std::move(found->second);
  asking_.erase(found);
  answer(asked_for, reply.limits);
}

void limits_endpoint::answer(question& to, const std::vector<limit_status>& limits) {
  lane_.metrics.count_status(200);
  if (to.from->generation() != to.generation) return;
  std::string body = "{\"account\":";
  if (to.account.empty())
    body += "null";
  else
    append_json_string(body, to.account);
  body += ",\"plan\":";
  append_json_string(body, to.plan->rules.name);
  body += ",\"limits\":[";
  for (auto& limit : limits) {
    body += &limit == limits.data() ? "{\"name\":" : ",{\"name\":";
    append_json_string(body, limit.name);
    body += ",\"amount\":" + std::to_string(amount_of(to.plan->rules, limit.name));
    body += ",\"used\":" + std::to_string(limit.used);
    body += ",\"remaining\":" + std::to_string(limit.remaining);
    body += ",\"resets_at\":\"" + rfc3339(limit.resets_at_ms) + "\"}";
  }
  body += "]}";
  to.context.state = tightest(to.plan->rules, limits, lane_.wall_time_ms());
  auto& out = to.from->begin_answer(to.exchange);
  responder_.writer().json(out, to.context, 200, body);
  to.from->end_answer(to.exchange);
}

void limits_endpoint::drop_late(std::int64_t oldest_ns) {
  answer_lost([&](std::uint64_t, const question& q) { return q.sent_ns < oldest_ns; });
}

} // namespace penstock
