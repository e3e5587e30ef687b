// GET /v1/usage: how the caller's limits stand. It costs nothing of them.
#include "actors/base/shards.hpp"
#include "actors/cluster/placement.hpp"
#include "actors/limits/limit_messages.hpp"
#include "net/base/json_text.hpp"
#include "net/base/retry_after.hpp"
#include "net/base/rfc3339.hpp"
#include "net/http/front_end_metrics.hpp"
#include "net/ingest/front_end.hpp"

#include <algorithm>

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
void front_end::answer_lost_questions(Lost lost) {
  for (auto at = asking_.begin(); at != asking_.end();) {
    if (!lost(at->first, at->second)) {
      ++at;
      continue;
    }
    auto question = std::move(at->second);
    asking_.erase(at++);
    parts_.metrics.count(shed_reason::unreachable);
    parts_.metrics.count_status(503);
    if (question.from->generation() != question.generation) continue;
    auto& out = question.from->begin_answer(question.exchange);
    writer_.error(out, question.context,
                  {503, "The node that counts this client's requests can't be reached."},
                  retry_when_unavailable_s);
    question.from->end_answer(question.exchange);
  }
}

void front_end::on_usage(session& from, const request_parser& parser, std::string_view query) {
  auto method = parser.head().method;
  if (method != request_method::get && method != request_method::head)
    return answer_now(from, parser, {405, "Only GET and HEAD are answered here."}, 0, "GET, HEAD");
  auto found = identify(from, parser, std::nullopt);
  if (!found) return;
  auto& [who, plan] = *found;
  bool keep_alive = parser.keep_alive() && !from.draining();
  limits_question question;
  question.from = &from;
  question.generation = from.generation();
  question.context.keep_alive = keep_alive;
  question.context.http_1_0 = parser.version_is_1_0();
  question.context.head_only = method == request_method::head;
  question.context.plan = &plan->headers;
  if (who.key) question.account = who.key->entry->account;
  question.plan = plan;
  question.plans = plans_;
  question.sent_ns = parts_.loop.now_ns();
  question.exchange = from.open_exchange(keep_alive);
  if (plan->rules.limits.empty()) return answer_limits(question, {});
  limits_query ask{next_token_++, who.client, who.key ? who.key->key_client : 0,
                   plan->charges.plan(), stream_id(stream_of(query))};
  asking_.emplace(ask.token, std::move(question));
  self_->send(destinations_[destination_of_[shard_of(who.client)]].limiter, ask);
}

void front_end::on_limits(const limits_reply& reply) {
  auto found = asking_.find(reply.token);
  if (found == asking_.end()) return; // it came after its timeout
  if (!reply.reached)
    return answer_lost_questions([&](std::uint64_t asked, auto&) { return asked == reply.token; });
  auto question = std::move(found->second);
  asking_.erase(found);
  answer_limits(question, reply.limits);
}

void front_end::answer_limits(limits_question& question, const std::vector<limit_status>& limits) {
  parts_.metrics.count_status(200);
  if (question.from->generation() != question.generation) return;
  std::string body = "{\"account\":";
  if (question.account.empty())
    body += "null";
  else
    append_json_string(body, question.account);
  body += ",\"plan\":";
  append_json_string(body, question.plan->rules.name);
  body += ",\"limits\":[";
  for (auto& limit : limits) {
    body += &limit == limits.data() ? "{\"name\":" : ",{\"name\":";
    append_json_string(body, limit.name);
    body += ",\"amount\":" + std::to_string(amount_of(question.plan->rules, limit.name));
    body += ",\"used\":" + std::to_string(limit.used);
    body += ",\"remaining\":" + std::to_string(limit.remaining);
    body += ",\"resets_at\":\"" + rfc3339(limit.resets_at_ms) + "\"}";
  }
  body += "]}";
  question.context.state = tightest(question.plan->rules, limits, wall_time_ms());
  auto& out = question.from->begin_answer(question.exchange);
  writer_.json(out, question.context, 200, body);
  question.from->end_answer(question.exchange);
}

void front_end::drop_late_questions(std::int64_t oldest_ns) {
  answer_lost_questions(
      [&](std::uint64_t, const limits_question& q) { return q.sent_ns < oldest_ns; });
}

} // namespace penstock
