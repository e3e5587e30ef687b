// From verdicts and durable batches to what the clients are told.
#include "actors/journal/journal_messages.hpp"
#include "net/base/retry_after.hpp"
#include "net/http/front_end_metrics.hpp"
#include "net/ingest/batch_errors.hpp"
#include "net/ingest/front_end.hpp"
#include "storage/events/event_id.hpp"

#include <algorithm>

namespace penstock {

namespace {

constexpr std::string_view never_admitted =
    "The event is larger than a limit of its client's plan ever admits; nothing was stored.";
// What is kept for use again by a front end, and how large a piece of it may be.
constexpr std::size_t max_spares = 64;
constexpr std::size_t max_spare_block_bytes = 256 << 10;

// Whether nobody else holds the block, and whatever others did with it is done. use_count() is a
// relaxed load, so it orders nothing; to give up a reference is an acquire, as the other's was a
// release. A fence would do as well, but the thread sanitizer does not understand it.
bool is_ours_alone(const block_ptr& block) {
  if (block.use_count() != 1) return false;
  [[maybe_unused]] const auto given_up_at_return = block;
  return true;
}

} // namespace

bool front_end::still_there(const waiting_request& r) const {
  return r.from && r.from->generation() == r.generation;
}

answer_context front_end::context_of(const waiting_request& r) const {
  answer_context ctx;
  ctx.keep_alive = r.keep_alive;
  ctx.http_1_0 = r.http_1_0;
  ctx.plan = &r.plan->headers;
  ctx.state = r.state;
  ctx.replayed = r.replayed;
  return ctx;
}

// Nothing of the request is stored: because of what it is, its client's quota, or our capacity.
void front_end::answer_not_taken(waiting_request& r, const request_details* details) {
  auto reason = static_cast<refusal>(r.state.reason);
  if (reason == refusal::table_full || reason == refusal::unreachable ||
      reason == refusal::unknown_plan)
    return answer_capacity(r);
  if (details && details->failure)
    return answer(r, details->failure->status,
                  [&](std::string& out) { writer_.error(out, context_of(r), *details->failure); });
  // A batch without an event is a valid one (CloudEvents HTTP binding, section 3.3.2).
  if (details && details->is_batch && details->lines == 0)
    return answer_stored(r, details, 0, parts_.node.tag);
  bool first_is_bad = details && !details->bad.empty() && details->bad.index(0) == 0;
  if (reason == refusal::too_large && !first_is_bad)
    return answer(r, 413, [&](std::string& out) {
      writer_.error(out, context_of(r), {413, std::string{never_admitted}});
    });
  if (!details || (details->bad.empty() && details->lines == 1))
    return answer(r, 429, [&](std::string& out) { writer_.refused(out, context_of(r)); });
  // A batch of which nothing was accepted: the first error's status, and all errors.
  problem what{first_is_bad ? 400u : 429u, "No event of the batch was accepted."};
  what.members = batch_summary(r, *details, 0, parts_.node.tag);
  auto violated = r.plan->headers.violated_policies(r.state.limit);
  if (what.status == 429 && !violated.empty()) what.members.append(",").append(violated);
  answer(r, what.status, [&](std::string& out) {
    writer_.error(out, context_of(r), what, what.status == 429 ? r.state.reset_s : 0);
  });
}

void front_end::answer_capacity(waiting_request& r) {
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
  parts_.metrics.count(counted);
  answer(r, 503, [&](std::string& out) {
    writer_.error(out, context_of(r), what, retry_when_unavailable_s);
  });
}

void front_end::answer_accepted(turn_batch& batch, waiting_request& r) {
  const auto& block = *batch.blocks[r.block];
  answer_stored(r, batch.details_of(r), block.first_seq + r.first, parts_.node.tag);
}

// 202 for the events from `seq` on, whenever they were stored.
void front_end::answer_stored(waiting_request& r, const request_details* details, std::uint64_t seq,
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
problem front_end::not_stored(const error& why) {
  auto what = problem_from(why);
  if (what.status != 507) what = {status_unavailable, "The journal failed."};
  what.detail += " Nothing was stored.";
  return what;
}

void front_end::answer_failed(waiting_request& r, const error& why) {
  auto what = not_stored(why);
  auto reason = why.code == errc::journal_full ? shed_reason::journal_full
                : why.code == errc::disk_full  ? shed_reason::disk_full
                                               : shed_reason::journal_error;
  parts_.metrics.count(reason);
  answer(r, what.status,
         [&](std::string& out) { writer_.error(out, context_of(r), what, retry_when_full_s); });
}

// The members of a batch's answer, without braces. Events are granted from the first on, so the
// lines that are neither bad nor among the first `count` good ones were refused by the limit. Those
// that were not read lie behind as many errors as are told.
std::string front_end::batch_summary(const waiting_request& r, const request_details& details,
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

// Keeps the batch and its blocks for the next turns, if nobody else holds on to them.
void front_end::release(std::unique_ptr<turn_batch> batch) {
  memory_.change(memory_part::requests, batch->memory_bytes, 0);
  show_in_flight();
  for (auto& block : batch->blocks) {
    if (spare_blocks_.size() < max_spares && is_ours_alone(block) &&
        block->memory_bytes() <= max_spare_block_bytes) {
      block->clear();
      spare_blocks_.push_back(std::move(block));
    }
  }
  batch->blocks.clear();
  batch->items.clear();
  batch->sizes.clear();
  batch->plans = nullptr;
  batch->limited = false;
  batch->published = false;
  batch->requests.clear();
  batch->details.clear();
  batch->usage.clear();
  batch->memory_bytes = 0;
  batch->claim_token = 0;
  if (spare_batches_.size() < max_spares) spare_batches_.push_back(std::move(batch));
}

} // namespace penstock
