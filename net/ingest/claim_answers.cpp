#include "net/ingest/claim_answers.hpp"

#include "actors/base/unpublished.hpp"
#include "net/ingest/batch_errors.hpp"
#include "storage/events/event_id.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace penstock {

namespace {

constexpr std::string_view other_content =
    "This idempotency key was used for another request: its stream, content type or body differ.";

bool is_stored(const event_claim& claim) {
  return claim.state == claim_state::accepted || claim.state == claim_state::repeat;
}

unsigned status_of(const event_claim& claim) {
  return claim.state == claim_state::conflict ? 422u : claim.status;
}

std::string_view reason_of(const event_claim& claim) {
  if (claim.is_held_back)
    return "Not stored: an event that comes before it is not stored yet; send it again.";
  switch (status_of(claim)) {
  case 404:
    return "The node that stores events of this key does not take them for this stream.";
  case 422:
    return other_content;
  case 429:
    return "The client's limit is used up.";
  case 507:
    return "The journal is full, or too full for this stream; nothing was stored.";
  default:
    return "Whether it was stored can't be told now; a repeat with the same key is never stored "
           "twice.";
  }
}

} // namespace

void claim_answers::answer_claimed(waiting_request& r, const request_details& details) {
  const auto& claims = *details.claims;
  if (claims.limits && r.count == 0) rules_.take_verdict(r, *claims.limits);
  if (claims.one_for_all)
    answer_one_claim(r, details);
  else
    answer_each_claim(r, details);
}

void claim_answers::answer_one_claim(waiting_request& r, const request_details& details) {
  const auto& claim = details.claims->all[0];
  if (is_stored(claim)) {
    r.count = claim.count;
    r.replayed = claim.state == claim_state::repeat;
    if (r.shortfall == unpublished::no)
      return responder_.answer_stored(r, &details, claim.seq, claim.tag_text());
    return responder_.answer_unpublished(
        r, responder_.stored_members(r, &details, claim.seq, claim.tag_text()),
        details.claims->policy, true);
  }
  // Refused by the limiter just now: as any other request.
  bool refused = claim.state == claim_state::failed && r.state.reason != 0;
  r.count = 0;
  if (refused) return responder_.answer_not_taken(r, &details);
  problem what{status_of(claim), std::string{reason_of(claim)}};
  const auto& why = details.claims->why;
  if (what.status >= 500 && !why.empty()) what.detail = why;
  responder_.answer(r, what.status, [&](std::string& out) {
    responder_.writer().error(out, responder_.context_of(r), what, claim.retry_after_s);
  });
}

// A batch of CloudEvents, each with a key of its own.
void claim_answers::answer_each_claim(waiting_request& r, const request_details& details) {
  const auto& all = details.claims->all;
  const auto read = details.lines - details.unread;
  batch_errors errors;
  std::string ids, first_id, last_id;
  unsigned first_status = 0;
  std::uint32_t accepted = 0, repeats = 0, retry_after_s = 0;
  auto claim = all.begin();
  std::size_t bad = 0;
  for (std::uint32_t line = 0; line < read; ++line) {
    std::string id;
    if (bad < details.bad.size() && details.bad.index(bad) == line) {
      if (first_status == 0) first_status = 400;
      errors.add(line, 400, details.bad.detail(bad++));
    } else if (is_stored(*claim)) {
      id = event_id(claim->seq, claim->tag_text());
      if (accepted++ == 0) first_id = id;
      last_id = id;
      repeats += (claim++)->state == claim_state::repeat;
    } else {
      if (first_status == 0) first_status = status_of(*claim);
      retry_after_s = std::max(retry_after_s, claim->retry_after_s);
      errors.add(line, status_of(*claim), reason_of(*claim));
      ++claim;
    }
    if (!details.wants_ids) continue;
    if (line > 0) ids += ',';
    ids += id.empty() ? "null" : '"' + id + '"';
  }
  for (std::uint32_t i = 0; details.wants_ids && i < details.unread; ++i)
    ids += ",null";
  std::string members = "\"accepted\":" + std::to_string(accepted);
  members += ",\"rejected\":" + std::to_string(details.lines - accepted);
  if (accepted > 0) members += ",\"first_id\":\"" + first_id + "\",\"last_id\":\"" + last_id + '"';
  members += ',' + errors.members(details.lines - accepted);
  if (details.wants_ids) members += ",\"ids\":[" + ids + ']';
  r.replayed = accepted > 0 && repeats == accepted;
  if (accepted > 0 && r.shortfall != unpublished::no)
    return responder_.answer_unpublished(r, std::move(members), details.claims->policy, true);
  if (accepted > 0)
    return responder_.answer(r, 202, [&](std::string& out) {
      responder_.writer().json(out, responder_.context_of(r), 202, "{" + members + "}");
    });
  problem what{first_status, "No event of the batch was accepted."};
  what.members = std::move(members);
  responder_.answer(r, what.status, [&](std::string& out) {
    responder_.writer().error(out, responder_.context_of(r), what,
                              first_status == 400 || first_status == 422 ? 0 : retry_after_s);
  });
}

void claim_answers::answer_origin(const waiting_request& r, const request_claims& claims) {
  forward_reply reply{
      claims.origin_token, lane_.node.tag, {}, r.state, static_cast<std::uint8_t>(r.shortfall)};
  for (const auto& one : claims.all)
    reply.verdicts.push_back({one.line, one.state, one.seq, one.count, one.status,
                              one.retry_after_s, std::string{one.tag_text()}});
  lane_.self->send(claims.origin, std::move(reply));
}

} // namespace penstock
