#include "net/ingest/responder.hpp"

#include "net/base/retry_after.hpp"
#include "net/clients/served_plans.hpp"
#include "net/http/front_end_metrics.hpp"
#include "net/http/readiness.hpp"
#include "net/ingest/batch_errors.hpp"
#include "storage/events/event_id.hpp"

#include <algorithm>
#include <utility>

namespace penstock {

namespace {

constexpr std::string_view never_admitted =
    "The event is larger than a limit of its client's plan ever admits; nothing was stored.";

answer_context plain_context(const request_parser& parser, bool keep_alive) {
  answer_context ctx;
  ctx.keep_alive = keep_alive;
  ctx.http_1_0 = parser.version_is_1_0();
  ctx.head_only = parser.head().method == request_method::head;
  return ctx;
}

std::string_view why_unreplicated(unpublished shortfall) {
  switch (shortfall) {
  case unpublished::alone:
    return "no other node is in reach that could hold them, too; they will be published.";
  case unpublished::draining:
    return "this node is ending, and no second one has said that it has them, too.";
  case unpublished::too_many:
    return "more requests wait for a second node than this one lets wait; they will be published.";
  default:
    return "no second node confirmed within the stream's replicate_timeout that it has them, too; "
           "they will be published.";
  }
}

std::string_view why_unpublished(unpublished shortfall) {
  switch (shortfall) {
  case unpublished::dead_letter:
    return "a sink of the stream refused one for good, which is kept as a dead letter and can be "
           "sent again by an operator.";
  case unpublished::draining:
    return "this node is ending, and they will be published when it runs again.";
  case unpublished::too_many:
    return "more requests wait for the stream's sinks than this node lets wait; they will be "
           "published.";
  default:
    return "the stream's sinks did not confirm them within its publish_timeout; they will be "
           "published.";
  }
}

} // namespace

void responder::answer_now(session& from, const request_parser& parser, const problem& what,
                           std::uint32_t retry_after_s, std::string_view allow) {
  bool keep_alive = parser.keep_alive() && !from.draining();
  auto number = from.open_exchange(keep_alive);
  writer_.error(from.begin_answer(number), plain_context(parser, keep_alive), what, retry_after_s,
                allow);
  from.end_answer(number);
  lane_.metrics.count_status(what.status);
}

void responder::answer_health(session& from, const request_parser& parser, std::string_view path,
                              std::string_view query) {
  auto method = parser.head().method;
  if (method != request_method::get && method != request_method::head)
    return answer_now(from, parser, {405, "Only GET and HEAD are answered here."}, 0, "GET, HEAD");
  const auto state = readiness_of(lane_.node);
  const bool ok = path == "/livez" || state.ready;
  bool keep_alive = parser.keep_alive() && !from.draining();
  auto number = from.open_exchange(keep_alive);
  unsigned status = ok ? 200 : 503;
  writer_.plain(from.begin_answer(number), plain_context(parser, keep_alive), status,
                readiness_text(state, ok, query));
  from.end_answer(number);
  lane_.metrics.count_status(status);
}

void responder::answer_and_close(session& from, const problem& what, std::uint32_t retry_after_s) {
  answer_context ctx;
  ctx.keep_alive = false;
  auto number = from.open_exchange(false);
  writer_.error(from.begin_answer(number), ctx, what, retry_after_s);
  from.end_answer(number);
  lane_.metrics.count_status(what.status);
}

answer_context responder::context_of(const waiting_request& r) const {
  answer_context ctx;
  ctx.keep_alive = r.keep_alive;
  ctx.http_1_0 = r.http_1_0;
  ctx.plan = &r.plan->headers;
  ctx.state = r.state;
  ctx.replayed = r.replayed;
  return ctx;
}

void responder::answer_problem(waiting_request& r, const problem& what,
                               std::uint32_t retry_after_s) {
  answer(r, what.status,
         [&](std::string& out) { writer_.error(out, context_of(r), what, retry_after_s); });
}

// Nothing of the request is stored: because of what it is, its client's quota, or our capacity.
void responder::answer_not_taken(waiting_request& r, const request_details* details) {
  auto reason = static_cast<refusal>(r.state.reason);
  if (reason == refusal::table_full || reason == refusal::unreachable ||
      reason == refusal::unknown_plan)
    return answer_capacity(r);
  if (details && details->failure)
    return answer(r, details->failure->status,
                  [&](std::string& out) { writer_.error(out, context_of(r), *details->failure); });
  // A batch without an event is a valid one (CloudEvents HTTP binding, section 3.3.2).
  if (details && details->is_batch && details->lines == 0)
    return answer_stored(r, details, 0, lane_.node.tag);
  bool first_is_bad = details && !details->bad.empty() && details->bad.index(0) == 0;
  if (reason == refusal::too_large && !first_is_bad)
    return answer(r, 413, [&](std::string& out) {
      writer_.error(out, context_of(r), {413, std::string{never_admitted}});
    });
  if (!details || (details->bad.empty() && details->lines == 1))
    return answer(r, 429, [&](std::string& out) { writer_.refused(out, context_of(r)); });
  // A batch of which nothing was accepted: the first error's status, and all errors.
  problem what{first_is_bad ? 400u : 429u, "No event of the batch was accepted."};
  what.members = batch_summary(r, *details, 0, lane_.node.tag);
  auto violated = r.plan->headers.violated_policies(r.state.limit);
  if (what.status == 429 && !violated.empty()) what.members.append(",").append(violated);
  answer(r, what.status, [&](std::string& out) {
    writer_.error(out, context_of(r), what, what.status == 429 ? r.state.reset_s : 0);
  });
}

void responder::answer_capacity(waiting_request& r) {
  auto reason = static_cast<refusal>(r.state.reason);
  problem what{503, "The node that counts this client's requests can't be reached."};
  auto counted = shed_reason::unreachable;
  if (reason == refusal::table_full) {
    what.detail = "This node tracks as many clients as limiter.max_clients allows.";
    counted = shed_reason::table_full;
  } else if (reason == refusal::unknown_plan) {
    what.detail = "The node that counts this client's requests does not know its plan yet.";
    counted = shed_reason::unknown_plan;
  }
  lane_.metrics.count(counted);
  answer(r, 503, [&](std::string& out) {
    writer_.error(out, context_of(r), what, retry_when_unavailable_s);
  });
}

void responder::answer_accepted(const turn_batch& batch, waiting_request& r) {
  const auto& block = *batch.blocks[r.block];
  answer_stored(r, batch.details_of(r), block.first_seq + r.first, lane_.node.tag);
}

// 202 for the events from `seq` on, whenever they were stored.
void responder::answer_stored(waiting_request& r, const request_details* details, std::uint64_t seq,
                              std::string_view tag) {
  if (!details || !details->is_batch) {
    char id[event_id_size];
    format_event_id(id, seq, tag);
    return answer(r, 202, [&](std::string& out) {
      writer_.accepted(out, context_of(r), {id, event_id_size});
    });
  }
  auto body = "{" + batch_summary(r, *details, seq, tag) + "}";
  answer(r, 202, [&](std::string& out) { writer_.json(out, context_of(r), 202, body); });
}

// The journal has logged it. Whatever went wrong, it is not about the request.
problem responder::not_stored(const error& why) {
  lane_.metrics.count(why.code == errc::journal_full ? shed_reason::journal_full
                      : why.code == errc::disk_full  ? shed_reason::disk_full
                                                     : shed_reason::journal_error);
  auto what = problem_from(why);
  if (what.status != 507) what = {status_unavailable, "The journal failed."};
  what.detail += " Nothing was stored.";
  return what;
}

void responder::answer_failed(waiting_request& r, const error& why) {
  answer_problem(r, not_stored(why), retry_when_full_s);
}

// What is true: the events are durable. A repeat is told no more and no worse than that.
void responder::answer_unpublished(waiting_request& r, std::string members,
                                   unpublished_policy policy, bool has_key) {
  members += R"(,"ack":"journaled")";
  if (policy == unpublished_policy::accept || r.shortfall == unpublished::earlier)
    return answer(r, 202, [&](std::string& out) {
      writer_.json(out, context_of(r), 202, "{" + members + "}");
    });
  problem what{503, "The events are stored under the ids given here, but "};
  what.detail +=
      r.ack == ack_level::replicated ? why_unreplicated(r.shortfall) : why_unpublished(r.shortfall);
  what.detail += has_key ? " A repeat with the same key does not store them again."
                         : " To send them again would store them twice; a request with an "
                           "Idempotency-Key can be repeated safely.";
  what.members = std::move(members);
  answer(r, what.status, [&](std::string& out) {
    writer_.error(out, context_of(r), what, retry_when_unpublished_s);
  });
}

// The members of a batch's answer, without braces. Events are granted from the first on, so the
// lines that are neither bad nor among the first `count` good ones were refused by the limit. Those
// that were not read lie behind as many errors as are told.
std::string responder::batch_summary(const waiting_request& r, const request_details& details,
                                     std::uint64_t first_seq, std::string_view tag) {
  const std::size_t rejected = details.lines - r.count;
  const auto read = details.lines - details.unread;
  batch_errors errors;
  std::string ids;
  if (details.wants_ids) ids.reserve(details.lines * (event_id_size + 3));
  std::uint32_t good = 0;
  std::size_t bad = 0;
  for (std::uint32_t line = 0; line < details.lines; ++line) {
    if (!details.wants_ids && errors.told() == std::min(rejected, max_batch_errors)) break;
    bool accepted = false;
    if (bad < details.bad.size() && details.bad.index(bad) == line)
      errors.add(line, 400, details.bad.detail(bad++));
    else if (line < read && good++ < r.count)
      accepted = true;
    else
      errors.add(line, 429, "The client's limit is used up.");
    if (details.wants_ids) {
      if (!ids.empty()) ids += ',';
      ids += accepted ? '"' + event_id(first_seq + good - 1, tag) + '"' : "null";
    }
  }
  std::string out = "\"accepted\":" + std::to_string(r.count);
  out += ",\"rejected\":" + std::to_string(rejected);
  if (r.count > 0) {
    out += ",\"first_id\":\"" + event_id(first_seq, tag);
    out += "\",\"last_id\":\"" + event_id(first_seq + r.count - 1, tag) + '"';
  }
  out += ',' + errors.members(rejected);
  if (details.wants_ids) out += ",\"ids\":[" + ids + ']';
  return out;
}

// The members of an answer that says what is stored, without braces.
std::string responder::stored_members(const waiting_request& r, const request_details* details,
                                      std::uint64_t first_seq, std::string_view tag) {
  if (details && details->is_batch) return batch_summary(r, *details, first_seq, tag);
  return "\"id\":\"" + event_id(first_seq, tag) + '"';
}

} // namespace penstock
