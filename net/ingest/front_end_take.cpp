// A request's events into the block of their stream, whatever form they came in.
#include "actors/streams/stream_settings.hpp"
#include "net/ingest/front_end.hpp"

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

void front_end::take_event(waiting_request& r, turn_batch& batch, const incoming& in) {
  r.ack = ack_of(in);
  batch.published = batch.published || waits_beyond_disk(r.ack);
  r.block = block_for(batch, in.stream, 1, in.body.size());
  auto& block = *batch.blocks[r.block];
  r.first = static_cast<std::uint32_t>(block.size());
  r.count = 1;
  auto type = in.kind == body_kind::cloud_event ? cloud_event_content_type
                                                : in.head[request_field::content_type];
  auto attributes = merged_attributes(traces_of(in.head), event_.attributes);
  block.push(in.body, type.empty() ? "application/octet-stream" : type, in.client, attributes);
  if (r.plan->charges.counts_bytes())
    batch.items.back().bytes = static_cast<std::uint32_t>(in.body.size());
  note_in_flight(batch, in.body.size() + attributes.size());
  if (!in.is_keyed) return;
  r.details = static_cast<std::uint32_t>(batch.details.size());
  batch.details.emplace_back().lines = 1;
  bool is_cloud_event = in.binary || in.kind == body_kind::cloud_event;
  add_claim(batch, r, in, is_cloud_event ? &event_ : nullptr, in.body, 0, r.first, 1);
}

request_details& front_end::begin_batch(waiting_request& r, turn_batch& batch, const incoming& in) {
  r.details = static_cast<std::uint32_t>(batch.details.size());
  auto& details = batch.details.emplace_back();
  details.is_batch = true;
  details.wants_ids = wants_representation(in.head[request_field::prefer]);
  r.ack = ack_of(in);
  batch.published = batch.published || waits_beyond_disk(r.ack);
  r.block = block_for(batch, in.stream, parts_.http.max_batch_events, in.body.size());
  r.first = static_cast<std::uint32_t>(batch.blocks[r.block]->size());
  return details;
}

void front_end::end_batch(waiting_request& r, turn_batch& batch, const incoming& in) {
  auto& details = batch.details[r.details];
  auto& block = *batch.blocks[r.block];
  if (details.failure) block.truncate(r.first);
  r.count = static_cast<std::uint32_t>(block.size()) - r.first;
  details.offered = r.count;
  batch.items.back().events = r.count;
  if (r.plan->charges.counts_bytes()) tell_sizes(batch);
  note_in_flight(batch, in.body.size() + r.count * sizeof(event_meta) + details.bad.memory_bytes());
  if (in.has_key && in.is_keyed && r.count > 0)
    add_claim(batch, r, in, nullptr, in.body, 0, r.first, r.count);
}

// For a plan with limits by bytes: those of each event of the batch's last request, which is a
// batch.
void front_end::tell_sizes(turn_batch& batch) {
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

void front_end::take_lines(waiting_request& r, turn_batch& batch, const incoming& in) {
  auto& details = begin_batch(r, batch, in);
  auto& block = *batch.blocks[r.block];
  auto attributes = traces_of(in.head);
  bool too_many = false;
  for_each_line(in.body, [&](std::string_view line) {
    if (details.lines >= parts_.http.max_batch_events) {
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
                                       std::to_string(parts_.http.max_batch_events) +
                                       " this node takes at once; nothing was stored."};
  else if (details.lines == 0)
    details.failure = problem{400, "The batch has no event: every line is blank."};
  end_batch(r, batch, in);
}

void front_end::take_cloud_events(waiting_request& r, turn_batch& batch, const incoming& in) {
  auto& details = begin_batch(r, batch, in);
  auto& block = *batch.blocks[r.block];
  if (!cloud_events_.open_batch(in.body))
    details.failure = problem{400, cloud_events_.why()};
  else if (cloud_events_.batch_size() > parts_.http.max_batch_events)
    details.failure = problem{413, "The batch has more events than the " +
                                       std::to_string(parts_.http.max_batch_events) +
                                       " this node takes at once; nothing was stored."};
  if (details.failure) return end_batch(r, batch, in);
  auto traces = traces_of(in.head);
  // Each event gets a copy. Where these would be larger than a body may be, tracestate is left off,
  // as W3C Trace Context allows.
  if (traces.size() * cloud_events_.batch_size() > parts_.http.max_body_bytes)
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
  details.unread = static_cast<std::uint32_t>(cloud_events_.batch_size()) - details.lines;
  details.lines += details.unread;
  note_in_flight(batch, attribute_bytes);
  end_batch(r, batch, in);
}

} // namespace penstock
