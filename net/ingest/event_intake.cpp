#include "net/ingest/event_intake.hpp"

#include "actors/base/shards.hpp"
#include "net/base/stream_name.hpp"
#include "net/http/front_end_metrics.hpp"
#include "storage/base/assert.hpp"

#include <chrono>
#include <memory>
#include <utility>

namespace penstock {

namespace {

bool wants_representation(std::string_view prefer) {
  return prefer.find("return=representation") != std::string_view::npos;
}

std::string traces_of(const request_head& head) {
  if (!head.has(request_field::traceparent)) return {};
  return trace_attributes(head[request_field::traceparent], head[request_field::tracestate]);
}

} // namespace

void tell_sizes(turn_batch& batch) {
  const auto& r = batch.requests.back();
  const auto& block = *batch.blocks[r.block];
  auto& item = batch.items.back();
  item.bytes = 0;
  for (std::uint32_t i = r.first; i < r.first + r.count; ++i) {
    auto bytes = static_cast<std::uint32_t>(block.body(i).size());
    item.bytes += bytes;
    if (r.count > 1) batch.sizes.push_back(bytes); // one event's size is the sum
  }
}

// -- checking -------------------------------------------------------------------------------------

// What is wrong with the request, apart from its lines; nothing if it can be taken.
std::optional<problem> event_intake::check(incoming& in) {
  const auto& head = in.head;
  if (!is_stream_name(in.stream)) return problem{400, std::string{stream_name_rule}};
  if (rules_.rules().refuses(in.stream))
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
  const auto& settings = rules_.settings_of(in.stream);
  if (settings.max_body_bytes > 0 && in.body.size() > settings.max_body_bytes)
    return problem{413, "The body is larger than the stream \"" + std::string{in.stream} +
                            "\" takes, which is " + std::to_string(settings.max_body_bytes) +
                            " bytes."};
  if (auto failure = check_body(in)) return failure;
  if (auto failure = check_key(in)) return failure;
  return check_name(in);
}

// A single event's form; that of a batch's events is looked at one by one. Leaves a CloudEvent in
// event_.
std::optional<problem> event_intake::check_body(incoming& in) {
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
std::optional<problem> event_intake::check_key(incoming& in) {
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
  in.is_keyed =
      hash_keys_ != nullptr && (in.has_key || in.binary || in.kind == body_kind::cloud_event ||
                                in.kind == body_kind::cloud_events);
  return std::nullopt;
}

// Last: a place that is reserved here is the request's from now on.
std::optional<problem> event_intake::check_name(incoming& in) {
  using enum stream_names::outcome;
  const auto got = rules_.streams().admit(in.stream, rules_.rules(), [&] {
    // Anonymous clients may call themselves what they like, but not come from where they like.
    return in.who.key || in.who.by_address ? in.who.client : identify_.client_of(in.who.address);
  });
  if (got.what == reserved) in.name_place = got.place;
  if (got.what == known || got.what == reserved) return std::nullopt;
  lane_.metrics.count(got.what == full ? shed_reason::stream_names : shed_reason::stream_share);
  const auto bound = std::to_string(names_.places());
  return problem{404, "The stream \"" + std::string{in.stream} + "\" is new here, and " +
                          (got.what == full
                               ? "this node serves " + bound +
                                     " streams that are not configured already, as many as it may."
                               : "this client has brought as many of the " + bound +
                                     " names that are not configured as it may.") +
                          " Use a stream that exists, have this one configured, or try again "
                          "later: names that are not used are forgotten."};
}

// -- taking ---------------------------------------------------------------------------------------

void event_intake::take(waiting_request& r, turn_batch& batch, const incoming& in) {
  if (in.kind == body_kind::ndjson) return take_lines(r, batch, in);
  if (in.kind == body_kind::cloud_events) return take_cloud_events(r, batch, in);
  take_event(r, batch, in);
}

void event_intake::take_event(waiting_request& r, turn_batch& batch, const incoming& in) {
  r.ack = rules_.ack_of(in.stream, in.is_keyed);
  batch.published = batch.published || waits_beyond_disk(r.ack);
  r.block = pool_.block_for(batch, in.stream, 1, in.body.size());
  auto& block = *batch.blocks[r.block];
  r.first = static_cast<std::uint32_t>(block.size());
  r.count = 1;
  auto type = in.kind == body_kind::cloud_event ? cloud_event_content_type
                                                : in.head[request_field::content_type];
  auto attributes = merged_attributes(traces_of(in.head), event_.attributes);
  block.push(in.body, type.empty() ? "application/octet-stream" : type, in.client, attributes);
  if (r.plan->charges.counts_bytes())
    batch.items.back().bytes = static_cast<std::uint32_t>(in.body.size());
  pool_.note_in_flight(batch, in.body.size() + attributes.size());
  if (!in.is_keyed) return;
  r.details = static_cast<std::uint32_t>(batch.details.size());
  batch.details.emplace_back().lines = 1;
  bool is_cloud_event = in.binary || in.kind == body_kind::cloud_event;
  add_claim(batch, r, in, is_cloud_event ? &event_ : nullptr, in.body, 0, r.first, 1);
}

void event_intake::take_lines(waiting_request& r, turn_batch& batch, const incoming& in) {
  auto& details = begin_batch(r, batch, in);
  auto& block = *batch.blocks[r.block];
  auto attributes = traces_of(in.head);
  bool too_many = false;
  for_each_line(in.body, [&](std::string_view line) {
    if (details.lines >= http_.max_batch_events) {
      too_many = true;
      return false;
    }
    auto index = details.lines++;
    if (details.bad.full())
      ++details.unread;
    else if (json_.valid(line))
      block.push(line, "application/json", in.client, attributes);
    else
      details.bad.add(index, json_.why());
    return true;
  });
  if (too_many)
    details.failure = problem{413, "The batch has more events than the " +
                                       std::to_string(http_.max_batch_events) +
                                       " this node takes at once; nothing was stored."};
  else if (details.lines == 0)
    details.failure = problem{400, "The batch has no event: every line is blank."};
  end_batch(r, batch, in);
}

void event_intake::take_cloud_events(waiting_request& r, turn_batch& batch, const incoming& in) {
  auto& details = begin_batch(r, batch, in);
  auto& block = *batch.blocks[r.block];
  if (!cloud_events_.open_batch(in.body))
    details.failure = problem{400, cloud_events_.why()};
  else if (cloud_events_.batch_size() > http_.max_batch_events)
    details.failure = problem{413, "The batch has more events than the " +
                                       std::to_string(http_.max_batch_events) +
                                       " this node takes at once; nothing was stored."};
  if (details.failure) return end_batch(r, batch, in);
  auto traces = traces_of(in.head);
  // Each event gets a copy. Where these would be larger than a body may be, tracestate is left off,
  // as W3C Trace Context allows.
  if (traces.size() * cloud_events_.batch_size() > http_.max_body_bytes)
    traces = trace_attributes(in.head[request_field::traceparent], {});
  std::size_t attribute_bytes = 0;
  cloud_events_.for_each_in_batch([&](std::string_view raw, const cloud_event* event) {
    auto index = details.lines++;
    if (!event) {
      details.bad.add(index, cloud_events_.why());
      return !details.bad.full();
    }
    auto attributes = merged_attributes(traces, event->attributes);
    attribute_bytes += attributes.size() + sizeof attributes;
    auto first = static_cast<std::uint32_t>(block.size());
    block.push(raw, cloud_event_content_type, in.client, attributes);
    if (in.is_keyed && !in.has_key) add_claim(batch, r, in, event, raw, index, first, 1);
    return true;
  });
  PENSTOCK_ASSERT(details.lines <= cloud_events_.batch_size());
  details.unread = static_cast<std::uint32_t>(cloud_events_.batch_size()) - details.lines;
  details.lines += details.unread;
  pool_.note_in_flight(batch, attribute_bytes);
  end_batch(r, batch, in);
}

request_details& event_intake::begin_batch(waiting_request& r, turn_batch& batch,
                                           const incoming& in) {
  r.details = static_cast<std::uint32_t>(batch.details.size());
  auto& details = batch.details.emplace_back();
  details.is_batch = true;
  details.wants_ids = wants_representation(in.head[request_field::prefer]);
  r.ack = rules_.ack_of(in.stream, in.is_keyed);
  batch.published = batch.published || waits_beyond_disk(r.ack);
  r.block = pool_.block_for(batch, in.stream, http_.max_batch_events, in.body.size());
  r.first = static_cast<std::uint32_t>(batch.blocks[r.block]->size());
  return details;
}

void event_intake::end_batch(waiting_request& r, turn_batch& batch, const incoming& in) {
  auto& details = batch.details[r.details];
  auto& block = *batch.blocks[r.block];
  if (details.failure) block.truncate(r.first);
  PENSTOCK_ASSERT(block.size() >= r.first);
  r.count = static_cast<std::uint32_t>(block.size()) - r.first;
  details.offered = r.count;
  batch.items.back().events = r.count;
  if (r.plan->charges.counts_bytes()) tell_sizes(batch);
  pool_.note_in_flight(batch,
                       in.body.size() + r.count * sizeof(event_meta) + details.bad.memory_bytes());
  if (in.has_key && in.is_keyed && r.count > 0)
    add_claim(batch, r, in, nullptr, in.body, 0, r.first, r.count);
}

/// `event`: the CloudEvent that `body` is; null: the claim is the request's Idempotency-Key.
void event_intake::add_claim(turn_batch& batch, waiting_request& r, const incoming& in,
                             const cloud_event* event, std::string_view body, std::uint32_t line,
                             std::uint32_t first, std::uint32_t count) {
  auto& claims = batch.details[r.details].claims;
  if (!claims) {
    claims = std::make_unique<request_claims>();
    claims->one_for_all = in.has_key || in.kind != body_kind::cloud_events;
    if (waits_beyond_disk(r.ack)) {
      const auto& settings = rules_.settings_of(in.stream);
      claims->policy = settings.on_timeout(r.ack);
      claims->max_wait_ns += std::chrono::nanoseconds{settings.wait_ms(r.ack)}.count();
    }
  }
  const auto& hash = *hash_keys_;
  auto type = in.kind == body_kind::cloud_events && !in.has_key
                  ? cloud_event_content_type
                  : in.head[request_field::content_type];
  // A structured event is the same one alone and in a batch, whatever the header's parameters.
  if (in.kind == body_kind::cloud_event) type = cloud_event_content_type;
  auto attributes = in.binary ? std::string_view{event_.attributes} : std::string_view{};
  event_claim claim;
  if (in.has_key)
    claim.key = hash.of_header(in.client, key_);
  else if (!event->relayed_id.empty())
    claim.key = hash.of_relayed(in.client, event->relayed_id);
  else
    claim.key = hash.of_event(in.client, event->source, event->id);
  claim.content = hash.of_content({in.stream, type, attributes, body});
  claim.line = line;
  const auto& block = *batch.blocks[r.block];
  PENSTOCK_ASSERT(count > 0 && first + count <= block.size());
  claim.offered = count;
  claim.bytes = block.events[first + count - 1].end - block.begin_of(first);
  claim.member = cluster_.owner_of(shard_of(claim.key.high));
  claims->all.push_back(claim);
  batch.blocks[r.block]->keys.push_back({claim.key, claim.content, first, count});
  pool_.note_in_flight(batch, sizeof claim + sizeof(block_key));
}

} // namespace penstock
