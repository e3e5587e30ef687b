#include "net/ingest/request_intake.hpp"

#include "net/base/retry_after.hpp"
#include "net/base/stream_name.hpp"
#include "net/http/front_end_metrics.hpp"
#include "storage/base/assert.hpp"
#include "storage/events/event_id.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace penstock {

namespace {

constexpr std::string_view expendable_refused =
    "The journal nears its cap, and this stream is expendable; nothing was stored. It is taken "
    "again when there is more room.";

// An event of a batch costs about as much as so many bytes more.
constexpr std::size_t event_work_bytes = 13;
// Nearly no request takes more than so many times its body; of the others it is worked out.
constexpr std::size_t most_growth = 32;
// An error that is told in a batch's answer takes about so many bytes.
constexpr std::size_t bytes_per_error = 168;

// What the answer to a batch may come to, apart from its header. `may_refuse`: its events may be
// refused one by one.
std::size_t answer_bytes_of(const request_details& details, bool may_refuse) {
  const std::size_t errors = may_refuse ? details.lines : details.bad.size() + details.unread;
  const std::size_t ids = details.wants_ids ? details.lines * (event_id_size + 3) : 0;
  return std::min(errors, max_batch_errors) * bytes_per_error + ids;
}

// The most that a request will take, from its body alone: of a batch each event has a place in a
// block, perhaps a key, and a part in the answer.
std::size_t most_bytes_of(const request_parser& parser) {
  const auto body = parser.body();
  const auto kind = classify_body(parser.head()[request_field::content_type]);
  if (kind != body_kind::ndjson && kind != body_kind::cloud_events) return body.size();
  constexpr std::size_t least_cloud_event_bytes = 50;
  const bool are_lines = kind == body_kind::ndjson;
  const auto events = are_lines
                          ? static_cast<std::size_t>(std::count(body.begin(), body.end(), '\n')) + 1
                          : body.size() / least_cloud_event_bytes + 1;
  auto bytes = sizeof(event_meta);
  if (!are_lines) bytes += sizeof(event_claim) + sizeof(block_key) + sizeof(std::string);
  if (parser.head().has(request_field::prefer)) bytes += event_id_size + 3;
  // The attributes of CloudEvents are copied out of the body.
  return body.size() * (are_lines ? 1 : 2) + events * bytes +
         std::min(events, max_batch_errors) * bytes_per_error;
}

// What a client is told when the journal takes nothing of its stream.
problem problem_of_journal(shed_reason why) {
  switch (why) {
  case shed_reason::disk_full:
    return {507, "The disk that holds the journal is full; nothing was stored."};
  case shed_reason::journal_full:
    return {507, "The journal has reached journal.max_size; nothing was stored."};
  case shed_reason::expendable:
    return {507, std::string{expendable_refused}};
  default:
    return {status_unavailable, "The journal failed. Nothing was stored."};
  }
}

} // namespace

admit_item request_intake::item_for(const caller& who, std::string_view path) const {
  admit_item item{.client = who.who.client, .plan = who.plan->charges.plan()};
  if (who.who.key) item.key = who.who.key->key_client;
  item.limits = who.plan->charges.limits("POST", path);
  return item;
}

void request_intake::take(waiting_request& request, turn_batch& batch, const incoming& in,
                          std::optional<problem> failure) {
  if (!failure) return events_.take(request, batch, in);
  request.details = static_cast<std::uint32_t>(batch.details.size());
  batch.details.emplace_back().failure = std::move(failure);
  batch.items.back().events = 0;
}

void request_intake::on_events(session& from, const request_parser& parser, std::string_view path) {
  const auto& head = parser.head();
  if (head.method != request_method::post)
    return responder_.answer_now(from, parser, {405, "Events are sent with POST."}, 0, "POST");
  auto stream = path.size() == events_path.size() ? std::string_view{"default"}
                                                  : path.substr(events_path.size() + 1);
  if (shed(from, parser, stream)) return;
  auto sender = callers_.find(from, parser, stream);
  if (!sender) return;
  auto& [who, plan] = *sender;
  incoming in{head, stream, parser.body(), who, who.client};
  in.kind = classify_body(head[request_field::content_type]);
  auto failure = events_.check(in);
  const auto to = limiters_.destination_of(who.client);
  auto own = in.is_keyed && !failure ? pool_.new_batch(to) : nullptr;
  auto& batch = own ? *own : limiters_.open_batch(to);
  auto item = item_for(*sender, path);
  const bool is_served = !failure || (failure->status != 404 && is_stream_name(stream));
  if (is_served) item.stream = stream_id(stream);
  auto& request = open_request(from, parser, batch, item, *plan);
  request.name_place = in.name_place;
  const auto memory_before = batch.memory_bytes;
  usage_.note(batch, who, head, failure ? std::string_view{} : stream);
  take(request, batch, in, std::move(failure));
  PENSTOCK_ASSERT(batch.memory_bytes >= memory_before);
  const auto bytes = batch.memory_bytes - memory_before;
  if (const auto* details = batch.details_of(request); details && details->is_batch) {
    from.note_work((details->lines - details->unread) * event_work_bytes + details->unread);
    from.hold(request.exchange, bytes,
              answer_bytes_of(*details, in.is_keyed || !plan->rules.limits.empty()));
  } else {
    from.hold(request.exchange, bytes, 0);
  }
  if (own) claims_.claim(std::move(own));
}

// Our own limits come before anything is charged to the client.
std::optional<request_intake::refusal_of_load>
request_intake::overload(const session& from, const request_parser& parser,
                         std::string_view stream) const {
  if (const auto reason = rules_.journal_refusal(lane_.node, stream))
    return refusal_of_load{*reason, problem_of_journal(*reason),
                           *reason == shed_reason::journal_error ? retry_when_unavailable_s
                                                                 : retry_when_full_s};
  // Of a key it must be known first whether its events are stored already; see
  // idempotency_client::refuse_full().
  const bool may_repeat = looks_at_keys_ && parser.head().has(request_field::idempotency_key);
  if (auto why = may_repeat ? std::nullopt : rules_.stream_is_full(stream))
    return refusal_of_load{shed_reason::stream_full, std::move(*why), retry_when_full_s};
  // A single body is taken whatever this lane's share of the bound is.
  const auto arriving = from.arriving_bytes();
  PENSTOCK_ASSERT(arriving <= from.held_bytes() && arriving <= lane_.memory.total());
  const auto has_room = [&](std::size_t more) {
    return lane_.memory.has_room(lane_.memory.total() - arriving, from.held_bytes() - arriving,
                                 more);
  };
  if (!has_room(parser.body().size() * most_growth) && !has_room(most_bytes_of(parser)))
    return refusal_of_load{
        shed_reason::in_flight, {503, std::string{too_much_under_way}}, retry_when_unavailable_s};
  return std::nullopt;
}

bool request_intake::shed(session& from, const request_parser& parser, std::string_view stream) {
  const auto why = overload(from, parser, stream);
  if (!why) return false;
  lane_.metrics.count(why->reason);
  responder_.answer_now(from, parser, why->what, why->retry_after_s);
  return true;
}

waiting_request& request_intake::open_request(session& from, const request_parser& parser,
                                              turn_batch& batch, admit_item item,
                                              served_plan& plan) {
  auto& r = batch.requests.emplace_back();
  r.from = &from;
  r.generation = from.generation();
  r.keep_alive = parser.keep_alive() && !from.draining();
  r.http_1_0 = parser.version_is_1_0();
  r.exchange = from.open_exchange(r.keep_alive);
  r.start_ns = lane_.loop.now_ns();
  r.plan = &plan;
  batch.limited = batch.limited || !plan.rules.limits.empty();
  batch.items.push_back(item);
  return r;
}

} // namespace penstock
