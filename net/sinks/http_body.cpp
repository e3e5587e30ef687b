#include "net/sinks/http_body.hpp"

#include <algorithm>

namespace penstock {

namespace {

constexpr std::size_t max_checked_json_bytes = 64u << 20; // above any body that a node takes
constexpr std::string_view not_json =
    "the body is not JSON, which format = \"ndjson\" can't carry; \"cloudevents-batch\" can";

bool was_checked(body_kind kind) {
  return kind == body_kind::json || kind == body_kind::cloud_event;
}

} // namespace

http_body_writer::http_body_writer(http_format format, std::string source)
    : format_{format}, form_{std::move(source)}, json_{max_checked_json_bytes} {}

const char* http_body_writer::content_type() const {
  return format_ == http_format::ndjson ? "application/x-ndjson"
                                        : "application/cloudevents-batch+json";
}

// Gives why it can't be sent. JSON has line ends only between its tokens, where a space does as
// well.
std::string http_body_writer::append_line(std::string& out, const outgoing_event& event) {
  auto body = event.body();
  const auto last = body.find_last_not_of(" \t\r\n");
  body = body.substr(0, last == body.npos ? 0 : last + 1);
  bool is_json = !body.empty();
  if (is_json && !was_checked(classify_body(event.content_type()))) {
    padded_.assign(body).append(json_padding_bytes, '\0');
    is_json = json_.valid(std::string_view{padded_}.substr(0, body.size()));
  }
  if (!is_json) return std::string{not_json};
  const auto begin = static_cast<std::ptrdiff_t>(out.size());
  out += body;
  std::replace_if(
      out.begin() + begin, out.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return {};
}

encoded_events http_body_writer::encode(const sink_batch& batch) {
  encoded_events out;
  out.pieces.reserve(batch.events.size());
  for (const auto& event : batch.events) {
    encoded_events::piece piece{.begin = out.text.size()};
    if (format_ == http_format::ndjson)
      piece.refusal = append_line(out.text, event);
    else
      form_.append_structured(out.text, event, batch);
    piece.end = out.text.size();
    piece.counted_bytes = piece.end - piece.begin + 1; // with what separates it from the next
    out.pieces.push_back(std::move(piece));
  }
  return out;
}

std::string http_body_writer::join(const encoded_events& encoded,
                                   std::span<const std::uint32_t> events) const {
  std::string out;
  std::size_t bytes = 2;
  for (const auto event : events)
    bytes += encoded.pieces[event].counted_bytes;
  out.reserve(bytes);
  const bool is_array = format_ == http_format::cloudevents_batch;
  if (is_array) out += '[';
  for (const auto event : events) {
    out += encoded.of(event);
    out += is_array ? ',' : '\n';
  }
  if (is_array) out.back() = ']';
  return out;
}

std::string http_body_writer::idempotency_key(const sink_batch& batch,
                                              std::span<const std::uint32_t> events) const {
  // A CloudEvent has its own id, unless someone wants it to arrive once more.
  if (format_ == http_format::cloudevents_batch && batch.again.empty()) return {};
  auto key = outgoing_form::id(batch.events[events.front()], batch) + '-' +
             outgoing_form::id(batch.events[events.back()], batch) + '-' +
             std::to_string(events.size());
  if (!batch.again.empty()) key += '-' + batch.again;
  return key;
}

} // namespace penstock
