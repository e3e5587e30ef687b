// From a parsed request to an entry in the turn's batch.
#include "actors/base/shards.hpp"
#include "actors/cluster/placement.hpp"
#include "actors/journal/journal_messages.hpp"
#include "actors/limits/limit_messages.hpp"
#include "actors/streams/stream_settings.hpp"
#include "net/base/retry_after.hpp"
#include "net/base/stream_name.hpp"
#include "net/http/front_end_metrics.hpp"
#include "net/http/request_target.hpp"
#include "net/ingest/front_end.hpp"
#include "storage/events/event_id.hpp"

#include <algorithm>

namespace penstock {

namespace {

constexpr std::string_view events_path = "/v1/events";
constexpr std::string_view usage_path = "/v1/usage";
// A block of a turn is closed when its bodies reach this size, so that one row stays moderate.
constexpr std::size_t max_block_bytes = 8 << 20;
constexpr std::string_view expendable_refused =
    "The journal nears its cap, and this stream is expendable; nothing was stored. It is taken "
    "again when there is more room.";
constexpr std::string_view too_much_under_way = "More is under way than this node takes at once.";

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

answer_context plain_context(const request_parser& parser, bool keep_alive) {
  answer_context ctx;
  ctx.keep_alive = keep_alive;
  ctx.http_1_0 = parser.version_is_1_0();
  ctx.head_only = parser.head().method == request_method::head;
  return ctx;
}

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

// Who sends a request to such a path is identified; the others are for anyone.
bool front_end::is_for_clients(std::string_view path) {
  return is_beneath(path, events_path) || path == usage_path;
}

void front_end::on_request(session& from, const request_parser& parser) {
  auto [path, query] = split_target(parser.head().target);
  if (is_beneath(path, events_path)) return on_events(from, parser, path);
  if (path == usage_path) return on_usage(from, parser, query);
  if (path == "/livez" || path == "/readyz") return answer_health(from, parser, path, query);
  answer_now(from, parser, {404, "There is nothing here; events go to POST /v1/events/{stream}."});
}

void front_end::answer_now(session& from, const request_parser& parser, const problem& what,
                           std::uint32_t retry_after_s, std::string_view allow) {
  bool keep_alive = parser.keep_alive() && !from.draining();
  auto number = from.open_exchange(keep_alive);
  writer_.error(from.begin_answer(number), plain_context(parser, keep_alive), what, retry_after_s,
                allow);
  from.end_answer(number);
  parts_.metrics.count_status(what.status);
}

void front_end::answer_health(session& from, const request_parser& parser, std::string_view path,
                              std::string_view query) {
  auto method = parser.head().method;
  if (method != request_method::get && method != request_method::head)
    return answer_now(from, parser, {405, "Only GET and HEAD are answered here."}, 0, "GET, HEAD");
  auto& node = parts_.node;
  bool draining = node.draining.load(std::memory_order_relaxed);
  bool full = node.journal_full.load(std::memory_order_relaxed);
  bool scarce = node.journal_scarce.load(std::memory_order_relaxed);
  bool failed = node.journal_failed.load(std::memory_order_relaxed);
  bool ok = path == "/livez" ||
            (node.ready.load(std::memory_order_relaxed) && !draining && !full && !failed);
  std::string body = ok ? "ok\n" : "not ready\n";
  if (query.find("verbose") != std::string_view::npos) {
    body += draining ? "draining: yes\n" : "draining: no\n";
    body += failed   ? "journal: failed\n"
            : full   ? "journal: full\n"
            : scarce ? "journal: scarce\n"
                     : "journal: ok\n";
  }
  bool keep_alive = parser.keep_alive() && !from.draining();
  auto number = from.open_exchange(keep_alive);
  unsigned status = ok ? 200 : 503;
  writer_.plain(from.begin_answer(number), plain_context(parser, keep_alive), status, body);
  from.end_answer(number);
  parts_.metrics.count_status(status);
}

// Our own limits come before anything is charged to the client.
bool front_end::shed(session& from, const request_parser& parser, std::string_view stream) {
  auto& node = parts_.node;
  if (node.journal_full.load(std::memory_order_relaxed)) {
    bool disk = node.disk_full.load(std::memory_order_relaxed);
    parts_.metrics.count(disk ? shed_reason::disk_full : shed_reason::journal_full);
    answer_now(from, parser,
               {507, disk ? "The disk that holds the journal is full; nothing was stored."
                          : "The journal has reached journal.max_size; nothing was stored."},
               retry_when_full_s);
    return true;
  }
  if (node.journal_failed.load(std::memory_order_relaxed)) {
    parts_.metrics.count(shed_reason::journal_error);
    answer_now(from, parser, {status_unavailable, "The journal failed. Nothing was stored."},
               retry_when_unavailable_s);
    return true;
  }
  if (node.journal_scarce.load(std::memory_order_relaxed) &&
      stream_settings_of(stream).expendable) {
    parts_.metrics.count(shed_reason::expendable);
    answer_now(from, parser, {507, std::string{expendable_refused}}, retry_when_full_s);
    return true;
  }
  // Of a key it must be known first whether its events are stored already; see refuse_full().
  const bool may_repeat =
      !parts_.idempotency.empty() && parser.head().has(request_field::idempotency_key);
  if (auto why = may_repeat ? std::nullopt : stream_is_full(stream)) {
    parts_.metrics.count(shed_reason::stream_full);
    answer_now(from, parser, *why, retry_when_full_s);
    return true;
  }
  // A single body is taken whatever this lane's share of the bound is.
  const auto arriving = from.arriving_bytes();
  const auto has_room = [&](std::size_t more) {
    return memory_.has_room(memory_.total() - arriving, from.held_bytes() - arriving, more);
  };
  if (!has_room(parser.body().size() * most_growth) && !has_room(most_bytes_of(parser))) {
    parts_.metrics.count(shed_reason::in_flight);
    answer_now(from, parser, {503, std::string{too_much_under_way}}, retry_when_unavailable_s);
    return true;
  }
  return false;
}

// What a key may not do is answered here, before anything is asked or charged.
std::optional<front_end::caller> front_end::identify(session& from, const request_parser& parser,
                                                     std::optional<std::string_view> stream) {
  caller result;
  auto& who = result.who;
  who = parts_.identify->identify(parser.head(), from.peer(), from.peer_trusted(),
                                  from.peer_client(), access_.get());
  if (auto why = barred(who)) {
    answer_now(from, parser, *why);
    return std::nullopt;
  }
  if (who.result != identity::outcome::known) {
    unsigned status = who.result == identity::outcome::unknown_key ? 401 : 400;
    answer_now(from, parser, {status, std::string{who.detail}});
    return std::nullopt;
  }
  if (who.key) {
    auto why = may_use(*who.key, stream, origin_of(parser.head()[request_field::referer]),
                       who.address, wall_time_ms());
    if (auto refused = problem_of(why)) {
      answer_now(from, parser, *refused);
      return std::nullopt;
    }
  }
  auto plan = who.key ? std::optional{who.key->plan_id} : std::nullopt;
  if (!rules_->overrides.empty())
    if (auto other = rules_->overrides.find(who.client, who.by_address ? &who.address : nullptr))
      plan = other;
  result.plan = plan ? plans_->find(*plan) : &plans_->anonymous();
  if (result.plan) return result;
  // A key may come from another node sooner than its plan.
  parts_.metrics.count(shed_reason::unknown_plan);
  answer_now(from, parser, {503, "The client's plan is not known to this node yet."},
             retry_when_unavailable_s);
  return std::nullopt;
}

void front_end::on_events(session& from, const request_parser& parser, std::string_view path) {
  const auto& head = parser.head();
  if (head.method != request_method::post)
    return answer_now(from, parser, {405, "Events are sent with POST."}, 0, "POST");
  auto stream = path.size() == events_path.size() ? std::string_view{"default"}
                                                  : path.substr(events_path.size() + 1);
  if (shed(from, parser, stream)) return;
  auto sender = identify(from, parser, stream);
  if (!sender) return;
  auto& [who, plan] = *sender;
  incoming in{head, stream, parser.body(), who, who.client};
  in.kind = classify_body(head[request_field::content_type]);
  auto failure = check(parser, in);
  auto to = destination_of_[shard_of(who.client)];
  auto own = in.is_keyed && !failure ? new_batch(to) : nullptr;
  auto& batch = own ? *own : open_batch(to);
  admit_item item{.client = who.client, .plan = plan->charges.plan()};
  const bool is_served = !failure || (failure->status != 404 && is_stream_name(stream));
  if (is_served) item.stream = stream_id(stream);
  if (who.key) item.key = who.key->key_client;
  item.limits = plan->charges.limits("POST", path);
  auto& request = open_request(from, parser, batch, item, *plan);
  request.name_place = in.name_place;
  const auto memory_before = batch.memory_bytes;
  note_usage(batch, who, head, failure ? std::string_view{} : stream);
  if (failure) {
    request.details = static_cast<std::uint32_t>(batch.details.size());
    batch.details.emplace_back().failure = std::move(failure);
    batch.items.back().events = 0;
  } else if (in.kind == body_kind::ndjson) {
    take_lines(request, batch, in);
  } else if (in.kind == body_kind::cloud_events) {
    take_cloud_events(request, batch, in);
  } else {
    take_event(request, batch, in);
  }
  if (const auto* details = batch.details_of(request); details && details->is_batch) {
    from.note_work((details->lines - details->unread) * event_work_bytes + details->unread);
    from.hold(request.exchange, batch.memory_bytes - memory_before,
              answer_bytes_of(*details, in.is_keyed || !plan->rules.limits.empty()));
  } else {
    from.hold(request.exchange, batch.memory_bytes - memory_before, 0);
  }
  if (own) claim(std::move(own));
}

// What is wrong with the request, apart from its lines; nothing if it can be taken.
std::optional<problem> front_end::check(const request_parser& parser, incoming& in) {
  const auto& head = in.head;
  if (!is_stream_name(in.stream)) return problem{400, std::string{stream_name_rule}};
  if (rules_->refuses(in.stream))
    return problem{404, "The stream \"" + std::string{in.stream} +
                            "\" is not configured, and this node takes events for those that are."};
  auto encoding = head[request_field::content_encoding];
  if (!encoding.empty() && encoding != "identity")
    return problem{415, "Content-Encoding \"" + std::string{encoding} +
                            "\" is not taken; send the body as it is."};
  if (in.kind == body_kind::unsupported)
    return problem{415, "This format of CloudEvents is not taken; send "
                        "application/cloudevents+json, application/cloudevents-batch+json or "
                        "binary mode."};
  const auto& settings = stream_settings_of(in.stream);
  if (settings.max_body_bytes > 0 && parser.body().size() > settings.max_body_bytes)
    return problem{413, "The body is larger than the stream \"" + std::string{in.stream} +
                            "\" takes, which is " + std::to_string(settings.max_body_bytes) +
                            " bytes."};
  if (auto failure = check_body(in)) return failure;
  if (auto failure = check_key(in)) return failure;
  return check_name(in);
}

// Last: a place that is reserved here is the request's from now on.
std::optional<problem> front_end::check_name(incoming& in) {
  using enum stream_names::outcome;
  const auto got = streams_.admit(in.stream, *rules_, [&] {
    // Anonymous clients may call themselves what they like, but not come from where they like.
    return in.who.key || in.who.by_address ? in.who.client
                                           : parts_.identify->client_of(in.who.address);
  });
  if (got.what == reserved) in.name_place = got.place;
  if (got.what == known || got.what == reserved) return std::nullopt;
  parts_.metrics.count(got.what == full ? shed_reason::stream_names : shed_reason::stream_share);
  const auto bound = std::to_string(parts_.names->places());
  return problem{404, "The stream \"" + std::string{in.stream} + "\" is new here, and " +
                          (got.what == full
                               ? "this node serves " + bound +
                                     " streams that are not configured already, as many as it may."
                               : "this client has brought as many of the " + bound +
                                     " names that are not configured as it may.") +
                          " Use a stream that exists, have this one configured, or try again "
                          "later: names that are not used are forgotten."};
}

// What is refused uses up nothing.
void front_end::settle_name(waiting_request& r, bool stored) {
  if (r.name_place == stream_names::no_place) return;
  if (stored)
    streams_.keep(r.name_place);
  else
    streams_.release(r.name_place);
  r.name_place = stream_names::no_place;
}

// A single event's form; that of a batch's events is looked at one by one. Leaves a CloudEvent in
// event_.
std::optional<problem> front_end::check_body(incoming& in) {
  if (!event_.attributes.empty()) event_ = {};
  if (in.kind == body_kind::cloud_event && !cloud_events_.structured(in.body, event_))
    return problem{400, cloud_events_.why()};
  bool envelope = in.kind == body_kind::cloud_event || in.kind == body_kind::cloud_events;
  in.binary = !envelope && !in.head.cloud_event_fields.empty();
  if (in.binary) {
    if (!cloud_events_.binary(in.head.cloud_event_fields, event_))
      return problem{400, cloud_events_.why()};
    if (in.kind == body_kind::ndjson) in.kind = body_kind::opaque; // the data of one event
  }
  // An event in binary mode may have no data at all.
  bool no_data = in.binary && in.body.empty();
  if (in.kind == body_kind::json && !no_data && !json_.valid(in.body))
    return problem{400, std::string{"The body is not the JSON it claims to be: "} + json_.why()};
  return std::nullopt;
}

// Whether a repeat of this request is to be recognised, and by what.
std::optional<problem> front_end::check_key(incoming& in) {
  in.has_key = in.head.has(request_field::idempotency_key);
  if (in.has_key) {
    bool repeated = in.head.repeated >> static_cast<unsigned>(request_field::idempotency_key) & 1u;
    auto key = parse_idempotency_key(in.head[request_field::idempotency_key]);
    if (repeated || !key)
      return problem{400,
                     "Idempotency-Key must be one string, quoted or bare, of 1 to 255 printable "
                     "ASCII characters."};
    key_ = std::move(*key);
  }
  in.is_keyed = !parts_.idempotency.empty() &&
                (in.has_key || in.binary || in.kind == body_kind::cloud_event ||
                 in.kind == body_kind::cloud_events);
  return std::nullopt;
}

const stream_settings& front_end::stream_settings_of(std::string_view stream) const {
  auto found = rules_->streams.find(stream);
  return found != rules_->streams.end() ? found->second : rules_->streams.find("default")->second;
}

turn_batch& front_end::open_batch(std::uint16_t to) {
  auto& open = destinations_[to].open;
  if (!open) open = new_batch(to);
  return *open;
}

std::unique_ptr<turn_batch> front_end::new_batch(std::uint16_t to) {
  std::unique_ptr<turn_batch> batch;
  if (spare_batches_.empty()) {
    batch = std::make_unique<turn_batch>();
  } else {
    batch = std::move(spare_batches_.back());
    spare_batches_.pop_back();
  }
  batch->destination = to;
  batch->plans = plans_before_ ? plans_before_ : plans_;
  return batch;
}

waiting_request& front_end::open_request(session& from, const request_parser& parser,
                                         turn_batch& batch, admit_item item, served_plan& plan) {
  auto& r = batch.requests.emplace_back();
  r.from = &from;
  r.generation = from.generation();
  r.keep_alive = parser.keep_alive() && !from.draining();
  r.http_1_0 = parser.version_is_1_0();
  r.exchange = from.open_exchange(r.keep_alive);
  r.start_ns = parts_.loop.now_ns();
  r.plan = &plan;
  batch.limited = batch.limited || !plan.rules.limits.empty();
  batch.items.push_back(item);
  return r;
}

// The block of this stream that has room, or a new one.
std::uint32_t front_end::block_for(turn_batch& batch, std::string_view stream, std::size_t events,
                                   std::size_t bytes) {
  for (auto i = batch.blocks.size(); i-- > 0;) {
    const auto& b = *batch.blocks[i];
    if (b.stream != stream) continue;
    if (b.size() + events <= max_events_per_block && b.bodies.size() + bytes <= max_block_bytes)
      return static_cast<std::uint32_t>(i);
    break; // an earlier block of the stream must not get later events
  }
  block_ptr block;
  if (spare_blocks_.empty()) {
    block = std::make_shared<event_block>();
  } else {
    block = std::move(spare_blocks_.back());
    spare_blocks_.pop_back();
  }
  block->stream.assign(stream);
  block->time_ms = wall_time_ms();
  batch.blocks.push_back(std::move(block));
  return static_cast<std::uint32_t>(batch.blocks.size() - 1);
}

void front_end::note_in_flight(turn_batch& batch, std::size_t bytes) {
  batch.memory_bytes += bytes;
  memory_.change(memory_part::requests, 0, bytes);
  show_in_flight();
}

void front_end::show_in_flight() {
  parts_.metrics.in_flight_bytes.set(static_cast<std::int64_t>(
      memory_.of(memory_part::requests) + memory_.of(memory_part::waits)));
}

void front_end::on_bad_request(session& from, unsigned status, std::string_view detail) {
  answer_and_close(from, {status, std::string{detail}});
}

void front_end::on_overload(session& from, shed_reason why) {
  parts_.metrics.count(why);
  answer_and_close(from, {503, std::string{too_much_under_way}}, retry_when_unavailable_s);
}

void front_end::answer_and_close(session& from, const problem& what, std::uint32_t retry_after_s) {
  answer_context ctx;
  ctx.keep_alive = false;
  auto number = from.open_exchange(false);
  writer_.error(from.begin_answer(number), ctx, what, retry_after_s);
  from.end_answer(number);
  parts_.metrics.count_status(what.status);
}

} // namespace penstock
